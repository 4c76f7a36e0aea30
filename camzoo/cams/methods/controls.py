"""Controls: maps that know nothing of the class. A method has to beat them to mean anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
from camzoo.core.ranges import SEED, Real

#: Odd, and near 2^64 over the golden ratio: multiples of it are far apart (SplitMix64).
_GOLDEN: Final = -0x61C8864680B583EB


@register_cam("random")
class Random(CamMethod):
    """White noise on the grid of the features, which resizing makes smooth.

    Seeded by the content of each image, so that an image gets the same map in any batch. Content
    and noise are hashed on the device of the image: nothing is copied to the host.

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
        shape = (view.logits.shape[1], *view.features.shape[2:])
        seeds = _mixed(_content(view.images) + _mixed(self.seed))
        return _normal(seeds, shape).to(view.features)


@register_cam("centre")
class Centre(CamMethod):
    """A Gaussian in the centre of the image with a standard deviation of a quarter of each side.

    Where a slice shows several organs their maps are equal, and the first of them takes all places:
    it is a control of one organ, and of the others only where they stand alone.

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


def _content(images: Tensor) -> Tensor:
    """Return a hash of each image [B, ...] of floats, int64 [B]: sums of its bits, each weighed."""
    bits = images.float().contiguous().flatten(1).view(torch.int32).long()
    places = torch.arange(bits.shape[1], device=bits.device)
    return (bits * (_mixed(places) | 1)).sum(dim=1)  # integers wrap: the order does not matter


def _normal(seeds: Tensor, shape: Sequence[int]) -> Tensor:
    """Return standard normal noise [B, *shape] by the transform of Box and Muller."""
    count = math.prod(shape)
    places = torch.arange(2 * count, device=seeds.device)
    hashed = _mixed(seeds[:, None] + places * _GOLDEN)
    uniform = (((hashed >> 40) & (2**24 - 1)).float() + 0.5) / 2**24
    radius, angle = uniform.view(len(seeds), count, 2).unbind(dim=2)
    noise: Tensor = (-2 * radius.log()).sqrt() * (2 * math.pi * angle).cos()
    return noise.view(len(seeds), *shape)


def _mixed(number: Tensor | int) -> Tensor:
    """Mix the bits of integers: the last steps of SplitMix64 (Steele et al., OOPSLA 2014)."""
    bits: Tensor = torch.as_tensor(number, dtype=torch.int64)
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        bits = (bits ^ _shifted(bits, shift)) * factor
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """Shift to the right and fill with zeros; of signed integers torch copies the sign."""
    shifted: Tensor = (bits >> by) & (2 ** (64 - by) - 1)
    return shifted


def _bell(size: int, deviation: float) -> Tensor:
    places = (torch.arange(size) + 0.5) / size - 0.5
    return torch.exp(-(places**2) / (2 * deviation**2))
