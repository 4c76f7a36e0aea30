"""Random views of training slices, made on the device in one resampling per batch."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.config import TrainingConfig


def augment(
    images: Tensor, config: TrainingConfig, *, flip: bool, generator: torch.Generator
) -> Tensor:
    """Resize, crop, mirror, rotate and change the contrast of each slice on its own.

    The long side is drawn from ``config.resize``; then a square of side ``config.crop`` is cut out
    at a random place, or the slice is placed at random in it, with zeros around (IRNet). All of
    that, with the mirroring and the rotation, is one affine map per slice: one bilinear resampling.

    Args:
        images: Grey slices on [0, 1], [B, S, S].
        config: Ranges.
        flip: Whether half of the slices are mirrored left to right.
        generator: Of the random numbers, on the CPU: equal seeds give equal views on any device.

    Returns:
        [B, crop, crop] on the device of ``images``.
    """
    theta = _affine(len(images), config, flip=flip, generator=generator)
    return _views(images, theta, config, generator)


def augment_planes(
    images: Tensor,
    planes: Tensor,
    config: TrainingConfig,
    *,
    flip: bool,
    generator: torch.Generator,
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
        config: Ranges.
        flip: Whether half of the slices are mirrored left to right.
        generator: Of the random numbers, on the CPU.
        side: Of the planes that come back, which cover the crop; None is ``s``.
        mode: "nearest" keeps labels whole.
        fill: Value of planes outside the slice.

    Returns:
        Views [B, crop, crop] and planes [B, P, side, side], float32.
    """
    theta = _affine(len(images), config, flip=flip, generator=generator)
    views = _views(images, theta, config, generator)
    # Outside the slice grid_sample gives zeros, which the shift turns into the wanted value.
    shifted = planes.float() - fill
    return views, _resample(shifted, theta, side or planes.shape[-1], mode) + fill


def _views(
    images: Tensor, theta: Tensor, config: TrainingConfig, generator: torch.Generator
) -> Tensor:
    views = _resample(images[:, None], theta, config.crop, "bilinear")[:, 0]
    return _jitter(views, config.jitter, generator) if config.jitter else views


def _resample(planes: Tensor, theta: Tensor, side: int, mode: str) -> Tensor:
    """Planes [B, P, s, s] seen through affine maps [B, 2, 3]: [B, P, side, side]."""
    shape = [len(planes), 1, side, side]
    grid = F.affine_grid(theta.to(planes.device), shape, align_corners=False)
    return F.grid_sample(planes, grid, mode=mode, align_corners=False)


def _affine(
    count: int, config: TrainingConfig, *, flip: bool, generator: torch.Generator
) -> Tensor:
    """From places in the crop to places in the slice, both on [-1, 1]: [count, 2, 3]."""
    low, high = config.resize
    side = low + (high - low) * torch.rand(count, generator=generator)
    ratio = config.crop / side  # how much of the slice the crop spans
    # The centre of the crop moves over what is left over, whichever of the two is larger.
    shift = (1 - ratio).abs()[:, None] * (2 * torch.rand(count, 2, generator=generator) - 1)
    angle = math.radians(config.rotate) * (2 * torch.rand(count, generator=generator) - 1)
    mirror = 1 - 2 * (torch.rand(count, generator=generator) < 0.5).float() * float(flip)
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
