"""Random views of training slices, made on the device in one resampling per batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.config import TrainingConfig


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random views that a network learns from.

    Attributes:
        crop: Side in pixels of a view.
        resize: Smallest and largest long side in pixels that a slice has before the crop.
        rotate: Largest rotation in degrees.
        jitter: Largest relative change of contrast and brightness, and of the exponent of a gamma.
        flip: Whether half of the slices are mirrored left to right.
    """

    crop: int
    resize: tuple[int, int]
    rotate: float = 0.0
    jitter: float = 0.0
    flip: bool = False

    @classmethod
    def of(cls, config: TrainingConfig, *, sided: bool) -> Augmentation:
        """Take the ranges out of a recipe.

        Args:
            config: The recipe.
            sided: Whether what is learnt changes its side in a mirrored slice.
        """
        flip = mirrored(config.flip, sided=sided)
        return cls(config.crop, config.resize, config.rotate, config.jitter, flip)


def mirrored(flip: str, *, sided: bool) -> bool:
    """Whether slices may be mirrored: by default not where organs would change their side."""
    return flip == "always" or (flip == "auto" and not sided)


def augment(images: Tensor, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """Resize, crop, mirror, rotate and change the contrast of each slice on its own.

    The long side is drawn from ``ranges.resize``; then a square of side ``ranges.crop`` is cut out
    at a random place, or the slice is placed at random in it, with zeros around (IRNet). All of
    that, with the mirroring and the rotation, is one affine map per slice: one bilinear resampling.

    Args:
        images: Grey slices on [0, 1], [B, S, S].
        ranges: What is drawn from.
        generator: Source of the random numbers, on the CPU: equal seeds give equal views on any
            device.

    Returns:
        [B, crop, crop] on the device of ``images``.
    """
    return _views(images, _affine(len(images), ranges, generator), ranges, generator)


def augment_planes(
    images: Tensor,
    planes: Tensor,
    ranges: Augmentation,
    generator: torch.Generator,
    *,
    side: int | None = None,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    fill: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """As :func:`augment`, and take planes that lie on the slices through the same affine maps.

    The views are those that :func:`augment` makes from a generator in the same state. Planes may
    be finer or coarser than the slices; both cover the same square. Their values are not jittered.

    Args:
        images: Grey slices on [0, 1], [B, S, S].
        planes: Labels, priors or maps of them, [B, P, s, s], any type.
        ranges: What is drawn from.
        generator: Source of the random numbers, on the CPU.
        side: Side of the planes that come back, which cover the crop; None is ``s``.
        mode: "nearest" keeps labels whole.
        fill: Value of planes outside the slice.

    Returns:
        Views [B, crop, crop] and planes [B, P, side, side], float32.
    """
    theta = _affine(len(images), ranges, generator)
    views = _views(images, theta, ranges, generator)
    # Outside the slice grid_sample gives zeros, which the shift turns into the wanted value.
    shifted = planes.float() - fill
    return views, _resample(shifted, theta, side or planes.shape[-1], mode) + fill


def _views(
    images: Tensor, theta: Tensor, ranges: Augmentation, generator: torch.Generator
) -> Tensor:
    views = _resample(images[:, None], theta, ranges.crop, "bilinear")[:, 0]
    return _jitter(views, ranges.jitter, generator) if ranges.jitter else views


def _resample(planes: Tensor, theta: Tensor, side: int, mode: str) -> Tensor:
    """Planes [B, P, s, s] seen through affine maps [B, 2, 3]: [B, P, side, side]."""
    shape = [len(planes), 1, side, side]
    grid = F.affine_grid(theta.to(planes.device), shape, align_corners=False)
    return F.grid_sample(planes, grid, mode=mode, align_corners=False)


def _affine(count: int, ranges: Augmentation, generator: torch.Generator) -> Tensor:
    """From places in the crop to places in the slice, both on [-1, 1]: [count, 2, 3]."""
    low, high = ranges.resize
    side = low + (high - low) * torch.rand(count, generator=generator)
    ratio = ranges.crop / side  # how much of the slice the crop spans
    # The centre of the crop moves over what is left over, whichever of the two is larger.
    shift = (1 - ratio).abs()[:, None] * (2 * torch.rand(count, 2, generator=generator) - 1)
    angle = math.radians(ranges.rotate) * (2 * torch.rand(count, generator=generator) - 1)
    mirror = 1 - 2 * (torch.rand(count, generator=generator) < 0.5).float() * float(ranges.flip)
    cos, sin = torch.cos(angle) * ratio, torch.sin(angle) * ratio
    rows = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    rows[:, 0] *= mirror[:, None]
    return torch.cat([rows, shift[:, :, None]], dim=2)


def _jitter(views: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Change gamma, contrast and brightness; grey images have no hue to change."""
    draws = 2 * torch.rand(3, len(views), 1, 1, generator=generator) - 1
    gamma, contrast, brightness = (1 + amount * draws).to(views.device)
    changed: Tensor = views.clamp(0, 1) ** gamma * contrast + (brightness - 1) * 0.5
    return changed.clamp_(0, 1)
