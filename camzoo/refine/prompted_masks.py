"""From the masks that a prompt may mean to one map: the mask that fits the map that asked."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.refine.prompts import above
from camzoo.refine.segment_anything import Answers


def fitting_maps(answers: Answers, maps: Tensor, level: float) -> Tensor:
    """Return the probability of the mask that fits each map best; zero where a map is empty.

    A point may mean a part, a whole, or what lies around it, and Segment Anything gives a mask for
    each. Taken is the one with the largest q · IoU(m, a): q is the overlap with the true mask that
    the network expects of mask m, and a is where the map reaches ``level`` of its maximum. Where
    no mask meets a, q alone counts.

    The sigmoid of its logits is returned and no mask, so that a threshold still means something:
    0.5 is the mask as the network has it, and others move its border to where the network is less
    or more sure.

    Args:
        answers: Of prompts that were made of ``maps``.
        maps: Non-negative, [B, C, h, w].
        level: Share of a map's maximum.

    Returns:
        float32 [B, C, h, w].
    """
    logits = _on_grid(answers.logits, maps)
    overlap = overlaps(logits > 0, above(maps, level)[:, :, None])
    meets = overlap.amax(dim=2, keepdim=True) > 0
    fit = torch.where(meets, answers.quality * overlap, answers.quality)
    best = fit.argmax(dim=2)[:, :, None, None, None].expand(-1, -1, 1, *maps.shape[2:])
    chosen = logits.gather(2, best)[:, :, 0].sigmoid()
    return torch.where(maps.amax(dim=(2, 3), keepdim=True) > 0, chosen, 0)


def overlaps(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of masks, bool [..., h, w] each; 0 for two empty ones."""
    both = (first & second).sum(dim=(-2, -1))
    either = (first | second).sum(dim=(-2, -1))
    return both / either.clamp_min(1)


def _on_grid(logits: Tensor, maps: Tensor) -> Tensor:
    """Bring logits [B, C, M, u, v] to the grid of maps, [B, C, M, h, w]."""
    size = maps.shape[2:]
    flat = F.interpolate(
        logits.flatten(0, 1), size, mode="bilinear", antialias=True, align_corners=False
    )
    return flat.view(*logits.shape[:3], *size)
