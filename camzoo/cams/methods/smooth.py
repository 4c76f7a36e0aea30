"""Smooth Grad-CAM++: Grad-CAM++ with the derivatives averaged over noisy copies of the image."""

from __future__ import annotations

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.weighting import total, weighted_sum
from camzoo.core.ranges import SEED, Real, Whole


@register_cam("smooth-grad-cam++")
class SmoothGradCamPlusPlus(CamMethod):
    """w_ck = sum_ij a_ckij ReLU(D1_ckij), with a = D2 / (2 D2 + S_k D3) and Dp = mean of g^p.

    The means are over noisy copies; S_k sums the features of the image itself. In closed form the
    gradients do not depend on the image, and the map is that of Grad-CAM++. Every image gets the
    same noise, so that its map does not depend on the batch it is in.

    What differs from the paper:

    - The numerator of a is D2, as in Grad-CAM++; the paper prints D1.

    Args:
        samples: Number of noisy copies.
        std: Standard deviation of the noise on the normalised image.
        seed: Seed of the noise.
    """

    paper = "Omeiza et al., arXiv 1908.01224"
    cost = "1 forward, and 1 backward per class, for each sample; none in closed form"

    def __init__(self, samples: int = 4, std: float = 0.3, seed: int = 0) -> None:
        Whole(1, 1000).require("smooth-grad-cam++: samples", samples)
        Real(0, 10).require("smooth-grad-cam++: std", std)
        SEED.require("smooth-grad-cam++: seed", seed)
        self.samples, self.std, self.seed = samples, std, seed

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the weighted sum of the features of the clean image."""
        first, second, third = self._moments(view)
        masses = view.features.sum((2, 3))[:, None, :, None, None]
        denominator = 2 * second + masses * third
        alpha = torch.where(denominator == 0, 0, second / denominator)
        weights = total(alpha * first.relu(), view.features)
        return weighted_sum(weights, view.features)

    def _moments(self, view: FeatureView) -> tuple[Tensor, Tensor, Tensor]:
        """Return the means over noisy copies of g, g^2 and g^3, compact."""
        gradients = view.gradients(compact=True)
        if view.closed_form:
            return gradients, gradients**2, gradients**3
        generator = torch.Generator().manual_seed(self.seed)
        size = (self.samples, 1, *view.images.shape[1:])
        noise = (torch.randn(size, generator=generator) * self.std).to(view.images)
        first, second, third = torch.zeros((3, *gradients.shape), device=gradients.device)
        for sample in noise:
            gradients = view.again(view.images + sample).gradients(compact=True)
            first += gradients / self.samples
            second += gradients**2 / self.samples
            third += gradients**3 / self.samples
        return first, second, third
