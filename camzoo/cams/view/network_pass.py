"""One pass of a network, cut at its target layers, and what is computed from it later."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from camzoo.cams.view.cut import Cut, Trace, no_gradient
from camzoo.core.errors import ConfigError
from camzoo.network.isolation import evaluating, grad_mode
from camzoo.network.layout import Layout


class NetworkPass:
    """A pass of a network over a batch of B images.

    Args:
        cut: Runs the network, or what lies behind one of its target layers.
        trace: What the pass left behind.
        layouts: How each target layer arranges its output.
    """

    def __init__(self, cut: Cut, trace: Trace, layouts: Sequence[Layout]) -> None:
        self._cut, self._trace = cut, trace
        self.model, self.layouts = cut.model, tuple(layouts)
        self._gradients: list[Tensor] = []

    @property
    def logits(self) -> Tensor:
        """The logits [B, C], as the network gave them."""
        return self._trace.logits

    def output(self, index: int) -> Tensor:
        """Return what target layer ``index`` gave, in the layer's own layout, outside any graph."""
        return self._trace.outputs[index].detach()

    def features(self, index: int) -> Tensor:
        """Return the feature map at target layer ``index``, [B, K, h, w], float32."""
        return self.layouts[index].to_map(self.output(index)).float()

    def autocast(self) -> AbstractContextManager[object]:
        """Enter the autocast that the pass was made under."""
        return self._trace.autocast()

    def head(self, index: int, features: Tensor, rows: Tensor) -> Tensor:
        """Return the logits [N, C] of other feature maps at a target layer, float32.

        Differentiable with respect to the features where autograd is on.

        Args:
            index: Which of the target layers.
            features: [N, K, h, w].
            rows: [N], the image that everything else is taken from.
        """
        layout, own = self.layouts[index], self.output(index)
        output = layout.from_map(features.to(own.dtype), own[rows, : layout.prefix])
        return self._cut.behind(index, output, self._trace, rows).float()

    def gradients(self, index: int) -> Tensor:
        """Return the gradients [B, C, K, h, w] of the logits with respect to a target layer.

        Made for all target layers when they are first asked for; then the graph is let go.

        Raises:
            ConfigError: Autograd sees no way from the layers to the logits.
        """
        if not self._gradients:
            self._gradients = self._differentiate()
        return self._gradients[index]

    def _differentiate(self) -> list[Tensor]:
        """Go back once per class, from its logits to the layers and no further."""
        logits, outputs = self._trace.logits, self._trace.outputs
        batch, classes = logits.shape
        if not logits.requires_grad:
            raise ConfigError(no_gradient(self.model, "the features"))
        with evaluating(self.model), grad_mode(enabled=True):
            made = [
                torch.empty((batch, classes, layout.channels, *layout.grid), device=logits.device)
                for layout in self.layouts
            ]
            for c in range(classes):
                last = c == classes - 1
                grads = torch.autograd.grad(logits[:, c].sum(), outputs, retain_graph=not last)
                for gradient, layout, grad in zip(made, self.layouts, grads, strict=True):
                    gradient[:, c] = layout.to_map(grad)
        self._trace.logits = logits.detach()
        return made
