"""Controls: maps that know nothing of the class. A method has to beat them to mean anything."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
from camzoo.core.ranges import SEED, Real


@register_cam("random")
class Random(CamMethod):
    """White noise on the grid of the features, which resizing makes smooth.

    Seeded by the content of each image, so that an image gets the same map in any batch.

    Args:
        seed: Goes into the seed of every image; others give other noise.
    """

    paper = "no paper"
    control = True
    cost = "nothing"

    def __init__(self, seed: int = 0) -> None:
        SEED.require("random: seed", seed)
        self.seed = seed

    def saliency(self, view: FeatureView) -> Tensor:
        """Return standard normal noise."""
        size = (view.logits.shape[1], *view.features.shape[2:])
        maps = []
        for image in view.images.float().cpu():
            seed = zlib.crc32(image.contiguous().numpy().tobytes(), self.seed)
            maps.append(torch.randn(size, generator=torch.Generator().manual_seed(seed)))
        return torch.stack(maps).to(view.features)


@register_cam("centre")
class Centre(CamMethod):
    """A Gaussian in the centre of the image with a standard deviation of a quarter of each side.

    Args:
        width: Standard deviation, as a share of each side.
    """

    paper = "no paper"
    control = True
    cost = "nothing"
    class_specific = False

    def __init__(self, width: float = 0.25) -> None:
        Real(0, 10, above=True).require("centre: width", width)
        self.width = width

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the same map for every image and class, on the grid of the image."""
        height, width = view.images.shape[2:]
        profile_y, profile_x = _bell(height, self.width), _bell(width, self.width)
        bell = torch.outer(profile_y, profile_x).to(view.features)
        return bell.expand(len(view.images), view.logits.shape[1], -1, -1)


@register_cam("otsu")
class Otsu(CamMethod):
    """One where the image is brighter than Otsu's threshold, zero elsewhere."""

    paper = "threshold of Otsu, IEEE TSMC 1979"
    control = True
    cost = "nothing"
    class_specific = False

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the bright part of each image, on its grid."""
        grey = view.images.float().mean(1)
        bright = grey > otsu_threshold(grey)[:, None, None]
        return bright[:, None].float().expand(-1, view.logits.shape[1], -1, -1)


def otsu_threshold(grey: Tensor) -> Tensor:
    """Return for each image [B, H, W] the value that best splits its pixels in two, [B].

    The largest value of the darker part, where the variance between the parts is largest. Exact:
    every split of the sorted pixels is tried. A constant image has that constant as threshold.
    """
    values = grey.flatten(1).double().sort(dim=1).values
    n = values.shape[1]
    below = torch.arange(1, n, device=values.device)
    sums = values.cumsum(1)
    mean_below = sums[:, :-1] / below
    mean_above = (sums[:, -1:] - sums[:, :-1]) / (n - below)
    between = below * (n - below) * (mean_above - mean_below) ** 2
    # Equal pixels stay together: a split between them is none.
    between = torch.where(values[:, 1:] > values[:, :-1], between, -1)
    best = between.argmax(1, keepdim=True)
    threshold = torch.where(between.amax(1) < 0, values[:, -1], values.gather(1, best)[:, 0])
    return threshold.to(grey.dtype)


def _bell(size: int, deviation: float) -> Tensor:
    places = (torch.arange(size) + 0.5) / size - 0.5
    return torch.exp(-(places**2) / (2 * deviation**2))
