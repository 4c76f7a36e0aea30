"""Means in which not all counts alike: over places by their rank, over classes by the tags."""

from __future__ import annotations

import torch
from torch import Tensor


def rank_pooled(planes: Tensor, decay: float, *, places: int) -> Tensor:
    """Average planes with weights that fall with rank: sum_r d^r p_(r) / sum_r d^r (SEC, eq. 3).

    p_(0) is the largest. d is ``decay`` to the power of ``places`` / (h w): the share of the weight
    that falls to the first half of the places, or to any other part, is that on the paper's grid.

    Args:
        planes: Probabilities or scores, [B, C, h, w].
        decay: On [0, 1]; 0 is the maximum, 1 the mean.
        places: Size of the grid that ``decay`` is meant for.

    Returns:
        [B, C].
    """
    ranked = planes.flatten(2).sort(dim=2, descending=True).values
    count = ranked.shape[2]
    ranks = torch.arange(count, device=ranked.device, dtype=ranked.dtype)
    weights = torch.tensor(decay ** (places / count), device=ranked.device) ** ranks
    return ranked @ (weights / weights.sum())


def masked_mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean of values [B, C] over classes where ``where`` [B, C] says so: [B], 0 for no class."""
    return (values * where).sum(dim=1) / where.sum(dim=1).clamp(min=1)
