"""A cut behind any named module of any network.

The whole network is run once. From then on every module in front of the layer answers with what it
gave in that pass instead of computing, so that only what lies behind is run, by the network's own
code, skip connections around the layer included.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn

from camzoo.cams.view.cut import Cut, Trace
from camzoo.cams.view.front import Front, explore
from camzoo.core.errors import ConfigError
from camzoo.network.isolation import hooked
from camzoo.network.nested import map_tensors
from camzoo.network.outputs import logits_of


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
        self._fronts: list[Front] = []

    def _forward(self, images: Tensor, graph: bool) -> Trace:
        if not self._fronts:
            self._fronts = [self._explore(name, images[:1]) for name in self.names]
        watched = {module for front in self._fronts for module in front.modules}
        kept = {module for front in self._fronts for module in front.kept}
        return self._record(images, watched, kept, graph=graph)

    def _behind(self, index: int, output: Tensor, trace: Trace, rows: Tensor, /) -> Tensor:
        front = self._fronts[index]
        return front.skip(self.model, trace, trace.before[index], output, rows)

    def _explore(self, name: str, image: Tensor) -> Front:
        alone = LayerCut(self.model, [name])

        def record(images: Tensor, watched: set[nn.Module], keep: bool) -> Trace:
            return alone._record(images, watched, watched if keep else set(), graph=False)

        return explore(self.model, name, image, record)

    def _record(
        self, images: Tensor, watched: set[nn.Module], kept: set[nn.Module], *, graph: bool
    ) -> Trace:
        """Run the network; keep what ``kept`` give, and of the other ``watched`` the shapes."""
        outputs: dict[nn.Module, Tensor] = {}
        calls: dict[nn.Module, list[Any]] = {}
        before: dict[nn.Module, dict[nn.Module, int]] = {}

        def watch(module: nn.Module, _: Any, output: Any) -> None:
            keep = _copy if module in kept else _outline
            calls.setdefault(module, []).append(map_tensors(keep, output))

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
            logits = logits_of(self.model(images), len(images), self.model)
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
        return model.get_submodule(name or "?")  # torch takes "" for the model itself
    except AttributeError as error:
        children = shorten(", ".join(child for child, _ in model.named_children()), 200)
        raise ConfigError(
            f"{type(model).__name__} has no layer {name!r}; its outermost layers are {children} "
            "(camzoo layers lists those of timm's models)"
        ) from error


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def _outline(tensor: Tensor) -> Tensor:
    return tensor.detach().to("meta")
