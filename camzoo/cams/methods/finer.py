"""Finer-CAM: what speaks for a class and not for the classes that are most like it."""

from __future__ import annotations

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.weighting import total, weighted_sum
from camzoo.core.errors import ConfigError
from camzoo.core.ranges import Real, Whole


@register_cam("finer-cam")
class FinerCam(CamMethod):
    """Grad-CAM of y_c - alpha * mean of the logits nearest to y_c in this image.

    Args:
        alpha: How strongly the similar classes are subtracted.
        references: Number of similar classes, at most C - 1.
    """

    paper = "Zhang et al., CVPR 2025"
    cost = "1 backward per class; none in closed form"
    min_classes = 2

    def __init__(self, alpha: float = 0.6, references: int = 3) -> None:
        Real(0, 100).require("finer-cam: alpha", alpha)
        Whole(1, 1000).require("finer-cam: references", references)
        self.alpha, self.references = alpha, references

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the weighted sum of the features.

        Raises:
            ConfigError: There is only one class, hence nothing to compare with.
        """
        classes = view.logits.shape[1]
        if classes < self.min_classes:
            raise ConfigError("finer-cam compares classes, and there is only one; use grad-cam")
        plain = total(view.gradients(compact=True), view.features)[..., 0, 0]
        weights = self._contrast(view.logits) @ plain
        return weighted_sum(weights[..., None, None], view.features)

    def _contrast(self, logits: Tensor) -> Tensor:
        """Return [B, C, C]: row c holds what each logit counts in the score of class c."""
        distance = (logits[:, :, None] - logits[:, None, :]).abs()
        distance.diagonal(dim1=1, dim2=2).fill_(torch.inf)
        count = min(self.references, logits.shape[1] - 1)
        nearest = distance.topk(count, dim=2, largest=False).indices
        similar = torch.zeros_like(distance).scatter_(2, nearest, self.alpha / count)
        return torch.eye(logits.shape[1], device=logits.device) - similar
