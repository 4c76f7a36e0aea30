"""FullGrad: what the image and every bias of the network contribute to the logit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
from camzoo.network.isolation import evaluating, grad_mode, hooked
from camzoo.network.outputs import logits_of


@register_cam("fullgrad")
class FullGrad(CamMethod):
    """sum of unit(|x dy/dx|) and, for every bias b of a layer with output z, unit(|b dy/dz|).

    unit() stretches a map to [0, 1] over its channels and places, as the authors' code does. The
    layers are convolutions and batch norms, whose bias is what they give for zero. Maps are on the
    grid of the image, and do not depend on the target layer.
    """

    paper = "Srinivas and Fleuret, NeurIPS 2019"
    cost = "1 forward and 1 backward per class through the whole network"

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the sum of all contributions, [B, C, H, W]."""
        contributions = full_gradients(view.viewer.model, view.images)
        maps = []
        for c in range(view.logits.shape[1]):
            stretched = [_stretch(part, view.images) for part in contributions(c)]
            maps.append(torch.stack(stretched).sum(0))
        return torch.stack(maps, dim=1)


def full_gradients(model: nn.Module, images: Tensor) -> Callable[[int], list[Tensor]]:
    """Run the network and return a function of the class that splits its logit.

    The function gives the contributions [B, channels, h, w] of the image and of each bias. In a
    network of linear layers and ReLUs they add up to the logit (if no bias is left out).
    """
    outputs: list[Tensor] = []
    biases: list[Tensor] = []

    def keep(module: nn.Module, _: object, output: Tensor) -> Tensor:
        outputs.append(output)
        biases.append(_bias(owners[module]))
        return output.clone()  # the network may go on in place

    owners = {_place(module): module for module in model.modules() if _has_bias(module)}
    with grad_mode(enabled=True), evaluating(model), hooked((owners, keep)):
        images = images.detach().clone().requires_grad_()
        logits = logits_of(model(images), len(images), model)

    def split(c: int) -> list[Tensor]:
        with grad_mode(enabled=True):
            grads = torch.autograd.grad(logits[:, c].sum(), [images, *outputs], retain_graph=True)
        parts = [b[:, None, None] * g for b, g in zip(biases, grads[1:], strict=True)]
        return [images.detach() * grads[0], *parts]

    return split


def _has_bias(module: nn.Module) -> TypeGuard[nn.Conv2d | nn.BatchNorm2d]:
    if isinstance(module, nn.Conv2d):
        return module.bias is not None
    return isinstance(module, nn.BatchNorm2d)


def _place(module: nn.Module) -> nn.Module:
    """Where to read the layer's own output: timm's norms with activation give it to ``drop``."""
    drop = getattr(module, "drop", None)
    return drop if isinstance(drop, nn.Module) else module


def _bias(module: nn.Conv2d | nn.BatchNorm2d) -> Tensor:
    """Return what a layer gives for a zero input, per channel."""
    if isinstance(module, nn.Conv2d):
        return cast("Tensor", module.bias).detach()
    zero = torch.zeros_like(cast("Tensor", module.running_mean))[None, :, None, None]
    return nn.BatchNorm2d.forward(module, zero)[0, :, 0, 0].detach()


def _stretch(part: Tensor, images: Tensor) -> Tensor:
    """Return the sum over channels of unit(|part|) on the grid of the images, [B, H, W]."""
    flat = part.abs().flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    unit = ((flat - low) / (high - low).clamp(min=torch.finfo(flat.dtype).tiny)).view_as(part)
    # Resizing is linear: the sum may come first, and only one channel is resized.
    together = unit.sum(1, keepdim=True)
    return F.interpolate(together, size=images.shape[2:], mode="bilinear")[:, 0]
