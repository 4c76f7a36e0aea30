"""Opti-CAM: the weights that keep the class when the image is seen through the map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.isolation import grad_mode
from camzoo.cams.score import to_unit
from camzoo.cams.view import FeatureView
from camzoo.cams.weighting import weighted_sum


@register_cam("opti-cam")
class OptiCam(CamMethod):
    """sum_k softmax(u)_k ReLU(A_k), with u found by Adam to maximise y_c(image * unit(up(map))).

    Args:
        steps: Of the optimiser.
        rate: Its learning rate.
    """

    paper = "Zhang et al., CVIU 2024, with the authors' plain loss and settings"
    cost = "50 forwards and backwards per class through the whole network"

    def __init__(self, steps: int = 50, rate: float = 0.1) -> None:
        self.steps, self.rate = steps, rate

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the weighted sum of the features with the best weights after all steps."""
        maps = [self._optimise(view, c) for c in range(view.logits.shape[1])]
        return torch.stack(maps, dim=1)

    def _optimise(self, view: FeatureView, c: int) -> Tensor:
        with grad_mode(enabled=True):
            features = view.features.relu()
            images = view.images.clone()
            scores = torch.zeros(features.shape[:2], device=features.device, requires_grad=True)
            optimiser = torch.optim.Adam([scores], lr=self.rate)
            for _ in range(self.steps):
                seen = images * _mask(_combine(scores, features), images)
                logit = view.classify(seen)[:, c].sum()
                (scores.grad,) = torch.autograd.grad(-logit, scores)
                optimiser.step()
            return _combine(scores.detach(), features)[:, 0]


def _combine(scores: Tensor, features: Tensor) -> Tensor:
    """Return the maps [B, 1, h, w]."""
    return weighted_sum(scores.softmax(1)[:, None, :, None, None], features)


def _mask(maps: Tensor, images: Tensor) -> Tensor:
    """Return the maps on the grid of the images, stretched to [0, 1]."""
    return to_unit(F.interpolate(maps, size=images.shape[2:], mode="bilinear")).to(images)
