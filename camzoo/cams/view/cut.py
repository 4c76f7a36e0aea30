"""A network cut in two behind a layer: the trunk is run once, what lies behind as often as needed.

Two ways to cut. :class:`HeadCut` uses timm's own seam, ``forward_features`` and ``forward_head``.
:class:`camzoo.cams.view.layer_cut.LayerCut` cuts behind any module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from camzoo.core.errors import ConfigError
from camzoo.network.isolation import ambient_autocast, evaluating, grad_mode
from camzoo.network.outputs import logits_of


@dataclass
class Trace:
    """What one forward pass left behind.

    Attributes:
        images: What went in, [B, 3, H, W].
        outputs: What each target layer gave, in the layer's own layout.
        logits: [B, C]; differentiable with respect to ``outputs`` if the pass recorded a graph.
        calls: What modules in front of the target layers gave, call by call; a tensor on the meta
            device stands for one whose values are never used.
        before: Per target layer, how many calls of each such module came before it.
        autocast: Enters the autocast that the pass was made under.
    """

    images: Tensor
    outputs: list[Tensor]
    logits: Tensor
    calls: dict[nn.Module, list[Any]] = field(default_factory=dict)
    before: list[dict[nn.Module, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.autocast = ambient_autocast(self.images.device)


def same_logits(logits: Tensor, expected: Tensor) -> bool:
    """Whether two passes over the same features agree, up to the rounding of their precision."""
    tolerance = 1e-3 if logits.dtype == expected.dtype == torch.float32 else 2e-2
    logits, expected = logits.float(), expected.float()
    scale = float(expected.abs().max())
    return torch.allclose(logits, expected, rtol=0, atol=tolerance * scale + 1e-6)


def no_gradient(model: nn.Module, place: str) -> str:
    """Say that logits change with what a place gives, but autograd does not know of it."""
    return (
        f"no gradient comes from the logits of {type(model).__name__} to {place}, though they "
        "change with it; run the network without torch.no_grad, detach or the like inside"
    )


class Cut(ABC):
    """Runs a network whole, or only what lies behind one of its target layers.

    The model is left as it was: modes per module, parameters and their gradients, hooks.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def forward(self, images: Tensor, *, graph: bool) -> Trace:
        """Run the network once; with ``graph``, record what lies behind the first target layer."""
        with evaluating(self.model), grad_mode(enabled=False):
            return self._forward(images, graph)

    def behind(self, index: int, output: Tensor, trace: Trace, rows: Tensor) -> Tensor:
        """Return the logits [N, C] for other outputs of target layer ``index``.

        Differentiable with respect to ``output`` where autograd is on.

        Args:
            index: Which of the target layers.
            output: [N, ...] in the layer's own layout.
            trace: The pass that everything else is taken from.
            rows: [N], which image of that pass each output belongs to.
        """
        with evaluating(self.model), trace.autocast():
            return self._behind(index, output, trace, rows)

    @abstractmethod
    def _forward(self, images: Tensor, graph: bool) -> Trace: ...

    @abstractmethod
    def _behind(self, index: int, output: Tensor, trace: Trace, rows: Tensor, /) -> Tensor: ...


class HeadCut(Cut):
    """Cuts between the features and the head, where every timm classifier can be cut.

    Raises:
        ConfigError: The model gives several tensors as features.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self._features = cast("Callable[[Tensor], Any]", model.forward_features)
        self._head = cast("Callable[[Tensor], Any]", model.forward_head)

    def _forward(self, images: Tensor, graph: bool) -> Trace:
        features = self._features(images)
        if not isinstance(features, Tensor):
            raise ConfigError(
                f"{type(self.model).__name__} gives {type(features).__name__} as features, "
                "expected one tensor; choose a layer by name (camzoo layers lists them)"
            )
        features = features.detach().requires_grad_(graph)
        with torch.set_grad_enabled(graph):
            # The head gets a copy where it could spoil the features by working in place.
            logits = self._logits(features.clone() if graph else features)
        return Trace(images, [features], logits)

    def _behind(self, _index: int, output: Tensor, _trace: Trace, _rows: Tensor, /) -> Tensor:
        return self._logits(output)

    def _logits(self, features: Tensor) -> Tensor:
        return logits_of(self._head(features), len(features), self.model)

    @staticmethod
    def suits(model: nn.Module) -> bool:
        """Whether a model has the seam."""
        return hasattr(model, "forward_features") and hasattr(model, "forward_head")
