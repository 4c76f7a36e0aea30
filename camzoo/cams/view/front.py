"""What lies in front of a layer: found out once, and from then on skipped.

A module in front answers with what it gave in a recorded pass instead of computing. One probe finds
out whose answers can reach the logits past the layer; of the others not even the values are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from camzoo.cams.view.cut import Trace, no_gradient, same_logits
from camzoo.core.errors import ConfigError
from camzoo.network.isolation import grad_mode, replaced
from camzoo.network.nested import map_tensors, tensors_in
from camzoo.network.outputs import logits_of

Recorder = Callable[[Tensor, set[nn.Module], bool], Trace]


@dataclass(frozen=True)
class Front:
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
            return logits_of(model(images), len(rows), model)

    def _answers(
        self, module: nn.Module, calls: Sequence[Any], rows: Tensor, batch: int
    ) -> Callable[..., Any]:
        """Give the remembered answers, call by call, and from then on compute."""
        remembered = iter(calls)
        compute = module.forward

        def answer(*args: Any, **kwargs: Any) -> Any:
            for given in remembered:
                if module in self.unbatched:
                    return map_tensors(lambda t: _fill(t, t.shape, rows.device), given)
                return map_tensors(lambda t: _take(t, rows, batch), given)
            return compute(*args, **kwargs)

        return answer


def explore(model: nn.Module, name: str, image: Tensor, record: Recorder) -> Front:
    """Find out what lies in front of a layer, and what of it matters behind.

    Args:
        model: The network.
        name: Name of the layer.
        image: One image [1, 3, H, W].
        record: Runs the network on images; keeps what the modules of its second argument give in
            front of the layer if its third says so, and otherwise the shapes.

    Raises:
        ConfigError: The logits do not depend on the layer, or what lies behind it cannot be run
            without the front.
    """
    target = model.get_submodule(name)
    around = set(_around(model, name))
    one = record(image, around, False)
    two = record(torch.cat((image, -image)), around, True)
    modules = set(two.before[0])
    unbatched = {
        module
        for module in modules
        if any(_rows(b) != 2 * _rows(a) for a, b in _pairs(one.calls[module], two.calls[module]))
    }
    everything = Front(target, modules, modules, unbatched, uses_images=True)
    kept, uses_images = _that_matter(everything, model, two, name)
    front = Front(target, modules, kept, unbatched, uses_images)
    _check(front, model, two, name)
    return front


def _that_matter(
    front: Front, model: nn.Module, trace: Trace, name: str
) -> tuple[set[nn.Module], bool]:
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
        calls[module] = [map_tensors(leaf, given) for given in trace.calls[module]]
        owners += [module] * (len(leaves) - len(owners))
    images, output = leaf(trace.images), leaf(trace.outputs[0])
    probe = Trace(images, [output], trace.logits, calls, trace.before)
    with grad_mode(enabled=True):
        logits = front.skip(model, probe, trace.before[0], output, _all_rows(images))
        grads: Sequence[Tensor | None] = [None]
        if logits.requires_grad:
            grads = torch.autograd.grad(logits.sum(), leaves, allow_unused=True)
    if grads[-1] is None:
        raise ConfigError(_why_none(front, model, trace, name))
    reached = {owner for owner, grad in zip(owners, grads, strict=False) if grad is not None}
    indices = {
        module
        for module in front.modules
        for given in trace.calls[module]
        if not all(t.is_floating_point() for t in tensors_in(given))
    }
    return reached | indices, grads[len(owners)] is not None


def _why_none(front: Front, model: nn.Module, trace: Trace, name: str) -> str:
    """Say whether a layer without gradient has no influence, or one that autograd does not see."""
    other = 1 - trace.outputs[0]
    logits = front.skip(model, trace, trace.before[0], other, _all_rows(trace.images))
    if same_logits(logits, trace.logits):
        return (
            f"the logits of {type(model).__name__} do not depend on layer {name!r}; choose another"
        )
    return no_gradient(model, f"layer {name!r}")


def _check(front: Front, model: nn.Module, trace: Trace, name: str) -> None:
    """Make sure that the part behind gives the logits of the whole, though it sees no front."""
    blank = {
        module: calls if module in front.kept else [map_tensors(_nothing, call) for call in calls]
        for module, calls in trace.calls.items()
    }
    probe = Trace(trace.images, trace.outputs, trace.logits, blank, trace.before)
    swapped = _all_rows(trace.images).flip(0)
    logits = front.skip(model, probe, trace.before[0], trace.outputs[0].flip(0), swapped)
    if not same_logits(logits, trace.logits.flip(0)):
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


def _nothing(tensor: Tensor) -> Tensor:
    return torch.full_like(tensor, torch.nan)


def _rows(tensor: Tensor) -> int:
    return tensor.shape[0] if tensor.ndim else 1


def _all_rows(images: Tensor) -> Tensor:
    return torch.arange(len(images), device=images.device)


def _pairs(one: Any, two: Any) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(tensors_in(one), tensors_in(two), strict=True)
