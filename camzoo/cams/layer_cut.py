"""A cut behind any named module of any network.

The whole network is run once. From then on every module in front of the layer answers with what it
gave in that pass instead of computing, so that only what lies behind is run, by the network's own
code, skip connections around the layer included. One small probe per network finds out whose
answers matter at all; of the others not even the values are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from camzoo.cams.cut import Cut, Trace
from camzoo.cams.isolation import grad_mode, hooked, replaced
from camzoo.errors import ConfigError


class LayerCut(Cut):
    """Cuts behind the named layers.

    Raises:
        ConfigError: A layer does not exist, is not run exactly once per pass, gives no single
            tensor, or cannot be repeated without the front.
    """

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__(model)
        self.names = tuple(names)
        self.targets = tuple(find_layer(model, name) for name in names)
        self._fronts: list[_Front] = []

    def _forward(self, images: Tensor, graph: bool) -> Trace:
        if not self._fronts:
            self._fronts = [
                _explore(LayerCut(self.model, [name]), name, images[:1]) for name in self.names
            ]
        return self.record(
            images,
            watched={module for front in self._fronts for module in front.modules},
            kept={module for front in self._fronts for module in front.kept},
            graph=graph,
        )

    def _behind(self, index: int, output: Tensor, trace: Trace, rows: Tensor, /) -> Tensor:
        front = self._fronts[index]
        return front.skip(self.model, trace, trace.before[index], output, rows)

    def record(
        self, images: Tensor, *, watched: set[nn.Module], kept: set[nn.Module], graph: bool
    ) -> Trace:
        """Run the network; keep what ``kept`` give, and of the other ``watched`` the shapes."""
        outputs: dict[nn.Module, Tensor] = {}
        calls: dict[nn.Module, list[Any]] = {}
        before: dict[nn.Module, dict[nn.Module, int]] = {}

        def watch(module: nn.Module, _: Any, output: Any) -> None:
            keep = _copy if module in kept else _outline
            calls.setdefault(module, []).append(_map(keep, output))

        def catch(module: nn.Module, _: Any, output: Any) -> Tensor:
            if module in outputs or not isinstance(output, Tensor):
                raise ConfigError(self._complaint(module, output))
            before[module] = {seen: len(given) for seen, given in calls.items()}
            if not outputs:
                output = output.detach().requires_grad_(graph)
                torch.set_grad_enabled(graph)
            outputs[module] = output
            onward: Tensor = output.clone()  # the network may go on in place
            return onward

        with hooked((watched, watch), (self.targets, catch)):
            logits: Tensor = self.model(images)
        for name, target in zip(self.names, self.targets, strict=True):
            if target not in outputs:
                raise ConfigError(f"layer {name!r} is not run when an image is classified")
        ordered = [outputs[target] for target in self.targets]
        return Trace(images, ordered, logits, calls, [before[target] for target in self.targets])

    def _complaint(self, module: nn.Module, output: Any) -> str:
        name = self.names[self.targets.index(module)]
        if isinstance(output, Tensor):
            return f"layer {name!r} is run more than once in a pass; choose one that is run once"
        return f"layer {name!r} gives {type(output).__name__}, expected one tensor; choose another"


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """Return the module called ``name``.

    Raises:
        ConfigError: There is none; the message says which of its parents exist.
    """
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        children = ", ".join(child for child, _ in model.named_children())
        raise ConfigError(
            f"{type(model).__name__} has no layer {name!r}; its outermost layers are {children} "
            "(camzoo layers lists them all)"
        ) from error


@dataclass(frozen=True)
class _Front:
    """What has to be skipped to run only what lies behind a layer.

    Attributes:
        target: The layer.
        modules: Modules in front of it, which answer from memory.
        kept: Those whose answers reach the logits by another way than through the layer.
        unbatched: Those whose answers have no row per image.
        uses_images: Whether the images reach the logits past all of them.
    """

    target: nn.Module
    modules: set[nn.Module]
    kept: set[nn.Module]
    unbatched: set[nn.Module]
    uses_images: bool

    def skip(
        self,
        model: nn.Module,
        trace: Trace,
        before: dict[nn.Module, int],
        output: Tensor,
        rows: Tensor,
    ) -> Tensor:
        """Run the model with the layer's output given and everything in front of it skipped."""
        images = trace.images
        stubs: dict[nn.Module, Callable[..., Any]] = {
            module: self._answers(module, trace.calls[module][: before[module]], rows, len(images))
            for module in self.modules
        }
        stubs[self.target] = lambda *_, **__: output.clone()
        images = images[rows] if self.uses_images else images[:1].expand(len(rows), -1, -1, -1)
        with replaced(stubs):
            return cast("Tensor", model(images))

    def _answers(
        self, module: nn.Module, calls: Sequence[Any], rows: Tensor, batch: int
    ) -> Callable[..., Any]:
        """Give the remembered answers, call by call, and from then on compute."""
        remembered = iter(calls)
        compute = module.forward

        def answer(*args: Any, **kwargs: Any) -> Any:
            for given in remembered:
                if module in self.unbatched:
                    return _map(lambda t: _fill(t, t.shape, rows.device), given)
                return _map(lambda t: _take(t, rows, batch), given)
            return compute(*args, **kwargs)

        return answer


def _explore(cut: LayerCut, name: str, image: Tensor) -> _Front:
    """Find out what lies in front of a layer, and what of it matters behind, with one image."""
    model, (target,) = cut.model, cut.targets
    around = set(_around(model, name))
    images = torch.cat((image, -image))
    one = cut.record(image, watched=around, kept=set(), graph=False)
    two = cut.record(images, watched=around, kept=around, graph=False)
    modules = set(two.before[0])
    unbatched = {
        module
        for module in modules
        if any(_rows(b) != 2 * _rows(a) for a, b in _pairs(one.calls[module], two.calls[module]))
    }
    everything = _Front(target, modules, modules, unbatched, uses_images=True)
    kept, uses_images = _that_matter(everything, model, two)
    front = _Front(target, modules, kept, unbatched, uses_images)
    _check(front, model, two, name)
    return front


def _that_matter(front: _Front, model: nn.Module, trace: Trace) -> tuple[set[nn.Module], bool]:
    """Ask autograd which answers, and whether the images, reach the logits past the layer."""
    leaves: list[Tensor] = []

    def leaf(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point():
            tensor = tensor.detach().requires_grad_()
            leaves.append(tensor)
        return tensor

    owners: list[nn.Module] = []
    calls: dict[nn.Module, list[Any]] = {}
    for module in front.modules:
        calls[module] = [_map(leaf, given) for given in trace.calls[module]]
        owners += [module] * (len(leaves) - len(owners))
    images, output = leaf(trace.images), leaf(trace.outputs[0])
    probe = Trace(images, [output], trace.logits, calls, trace.before)
    with grad_mode(enabled=True):
        logits = front.skip(model, probe, trace.before[0], output, _all_rows(images))
        grads = torch.autograd.grad(logits.sum(), leaves, allow_unused=True)
    reached = {owner for owner, grad in zip(owners, grads, strict=False) if grad is not None}
    indices = {
        module
        for module in front.modules
        for given in trace.calls[module]
        if not all(t.is_floating_point() for t in _tensors(given))
    }
    return reached | indices, grads[len(owners)] is not None


def _check(front: _Front, model: nn.Module, trace: Trace, name: str) -> None:
    """Make sure that the part behind gives the logits of the whole, though it sees no front."""
    blank = {
        module: [
            given if module in front.kept else _map(lambda t: torch.full_like(t, torch.nan), given)
            for given in trace.calls[module]
        ]
        for module in front.modules
    }
    probe = Trace(trace.images, trace.outputs, trace.logits, blank, trace.before)
    swapped = _all_rows(trace.images).flip(0)
    logits = front.skip(model, probe, trace.before[0], trace.outputs[0].flip(0), swapped)
    expected = trace.logits.flip(0).float()
    tolerance = 1e-3 * float(expected.abs().max()) + 1e-6
    if not torch.allclose(logits.float(), expected, rtol=0, atol=tolerance):
        raise ConfigError(
            f"what lies behind layer {name!r} of {type(model).__name__} cannot be run alone: "
            "it depends on the front in a way that is not seen; choose another layer"
        )


def _around(model: nn.Module, name: str) -> Iterator[nn.Module]:
    """The outermost modules that are neither the layer called ``name`` nor hold it."""
    module, rest = model, name
    while rest:
        step, _, rest = rest.partition(".")
        for child_name, child in module.named_children():
            if child_name != step:
                yield from _runnable(child)
        module = module.get_submodule(step)


def _runnable(module: nn.Module) -> Iterator[nn.Module]:
    """The module itself, or for a container that cannot be called (ModuleList), what it holds."""
    if type(module).forward is not nn.Module.forward:
        yield module
        return
    for child in module.children():
        yield from _runnable(child)


def _take(tensor: Tensor, rows: Tensor, batch: int) -> Tensor:
    """Rows of a tensor that has one or more rows per image, in the order of the images."""
    each = len(tensor) // batch
    if tensor.is_meta:
        return _fill(tensor, torch.Size((len(rows) * each, *tensor.shape[1:])), rows.device)
    images: Tensor = tensor.unflatten(0, (batch, each))
    return images[rows].flatten(0, 1)


def _fill(tensor: Tensor, shape: torch.Size, device: torch.device) -> Tensor:
    """A copy that the network may change; of an outline, memory with any content."""
    if tensor.is_meta:
        return torch.empty(shape, dtype=tensor.dtype, device=device)
    return tensor.clone()


def _rows(tensor: Tensor) -> int:
    return tensor.shape[0] if tensor.ndim else 1


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def _outline(tensor: Tensor) -> Tensor:
    return tensor.detach().to("meta")


def _all_rows(images: Tensor) -> Tensor:
    return torch.arange(len(images), device=images.device)


def _map(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Apply a function to every tensor in what a module gave."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {key: _map(function, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_map(function, item) for item in value)
    return value


def _tensors(value: Any) -> list[Tensor]:
    found: list[Tensor] = []
    _map(lambda tensor: found.append(tensor) or tensor, value)  # type: ignore[func-returns-value]
    return found


def _pairs(one: Any, two: Any) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(_tensors(one), _tensors(two), strict=True)
