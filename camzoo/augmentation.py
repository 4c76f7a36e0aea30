"""Random views of training slices, made on the device in one resampling per batch."""

from __future__ import annotations

import math

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
    shape = [len(images), 1, config.crop, config.crop]
    grid = F.affine_grid(theta.to(images.device), shape, align_corners=False)
    views = F.grid_sample(images[:, None], grid, mode="bilinear", align_corners=False)[:, 0]
    return _jitter(views, config.jitter, generator) if config.jitter else views


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
