"""Opti-CAM: the weights that keep the class when the image is seen through the map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.methods.score_cam import to_unit
from camzoo.cams.view.feature_view import FeatureView
from camzoo.core.ranges import Real, Whole
from camzoo.network.isolation import grad_mode


@register_cam("opti-cam")
class OptiCam(CamMethod):
    """sum_k softmax(u)_k ReLU(A_k), with u found by Adam to maximise y_c(image * unit(up(map))).

    What differs from the paper:

    - Masks multiply the normalised image: what is masked becomes the mean colour.

    Args:
        steps: Number of steps of the optimiser.
        rate: Learning rate of the optimiser.
    """

    paper = "Zhang et al., CVIU 2024, with the authors' plain loss and settings"
    cost = "1 forward and backward per step and class through the whole network"

    def __init__(self, steps: int = 50, rate: float = 0.1) -> None:
        Whole(0, 10_000).require("opti-cam: steps", steps)
        Real(0, 100, above=True).require("opti-cam: rate", rate)
        self.steps, self.rate = steps, rate

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the weighted sum of the features with the weights after all steps."""
        # Image by image, from its features alone: the optimisation magnifies any rounding, and the
        # size of a batch changes rounding.
        maps = [self._optimise(view.again(image[None])) for image in view.images]
        return torch.stack(maps)

    def _optimise(self, view: FeatureView) -> Tensor:
        """Return the maps [C, h, w] of a single image; the classes are a batch of their own."""
        with grad_mode(enabled=True):
            return self._ascend(view, view.images[0].clone(), view.features[0].relu())

    def _ascend(self, view: FeatureView, image: Tensor, features: Tensor) -> Tensor:
        classes = view.logits.shape[1]
        scores = torch.zeros(classes, len(features), device=image.device, requires_grad=True)
        optimiser = torch.optim.Adam([scores], lr=self.rate)
        for _ in range(self.steps):
            maps = _combine(scores, features)
            up = F.interpolate(maps[:, None], size=image.shape[1:], mode="bilinear")
            logits = view.classify(image * to_unit(up).to(image))
            (scores.grad,) = torch.autograd.grad(-logits.diagonal().sum(), scores)
            optimiser.step()
        return _combine(scores.detach(), features)


def _combine(scores: Tensor, features: Tensor) -> Tensor:
    """Return the maps [C, h, w] of scores [C, K] and features [K, h, w]."""
    return torch.einsum("ck,khw->chw", scores.softmax(1), features)
