"""The location prior: where an organ was found in the training slices, whatever the image shows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.cams.base import CamMethod, FitContext, register_cam
from camzoo.cams.gradient import GradCam
from camzoo.cams.training_views import training_views
from camzoo.cams.view import FeatureView
from camzoo.errors import ConfigError


@register_cam("prior-only")
class PriorOnly(CamMethod):
    """The context map M_GC of C-CAM (Chen et al., CVPR 2022, eq. 1), alone, for every image.

    The control that tells how much of a method is the prior. Made from predictions, never from
    masks: the share of training slices with the organ whose coarse mask covers a place.

    Args:
        threshold: Above which share of its maximum a map is coarse mask.
    """

    control = True
    paper = "context map of Chen et al., CVPR 2022, eq. 1"
    cost = "fitting: 1 forward per training slice; then nothing"
    needs_fit = True

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self._prior: Tensor | None = None

    def fit(self, context: FitContext) -> None:
        """Average the coarse masks of the training slices."""
        self._prior = context_map(context, self.threshold)

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the prior for every image, on the grid of the image."""
        if self._prior is None:
            raise ConfigError("prior-only has to be fitted on training slices first")
        prior = F.interpolate(
            self._prior[None].to(view.features), size=view.images.shape[2:], mode="bilinear"
        )
        return prior.expand(len(view.images), -1, -1, -1)


def context_map(context: FitContext, threshold: float = 0.5) -> Tensor:
    """Return the context map [C, S, S]: per class the mean coarse mask of its positive slices.

    A coarse mask is where a class has the largest map of those in the slice and reaches
    ``threshold`` of its own maximum. Maps are CAM's (Grad-CAM's where the head is not linear),
    at one scale. A class without a positive slice has an empty map.
    """
    size = context.slices.size
    classes = len(context.slices.organs)
    counts = torch.zeros(classes, size, size, device=context.device)
    slices = torch.zeros(classes, device=context.device)
    for view, tags in training_views(context):
        counts += _coarse(GradCam()(view), tags, size, threshold).sum(0)
        slices += tags.sum(0)
    return counts / slices.clamp(min=1)[:, None, None]


def _coarse(maps: Tensor, tags: Tensor, size: int, threshold: float) -> Tensor:
    """One-hot coarse masks [B, C, S, S] without the background."""
    full = F.interpolate(maps, size=(size, size), mode="bilinear").relu() * tags[:, :, None, None]
    peak = full.amax((2, 3), keepdim=True)
    unit = full / peak.clamp(min=torch.finfo(peak.dtype).tiny)
    strongest = unit == unit.amax(1, keepdim=True)
    return (strongest & (unit > threshold)).float()
