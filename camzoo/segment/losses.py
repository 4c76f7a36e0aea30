"""Losses of segmentation that leave unknown pixels out."""

from __future__ import annotations

from functools import cache

import torch.nn.functional as F
from torch import Tensor, nn

from camzoo.data.labels import UNKNOWN


def cross_entropy_and_dice(logits: Tensor, labels: Tensor, _tags: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice of the organs, both over known pixels only.

    The Dice pools a batch, so that slices without an organ have a part in it.

    Args:
        logits: float32 [B, C + 1, s, s].
        labels: int64 [B, s, s]: 0..C or :data:`~camzoo.data.labels.UNKNOWN`.
        _tags: Not needed, since labels follow them (:data:`camzoo.learning.objectives.Loss`).

    Returns:
        The sum of both, a scalar.
    """
    known = labels != UNKNOWN
    classes = logits.shape[1]
    target = F.one_hot(labels.where(known, 0), classes).movedim(-1, 1).float()
    dice: Tensor = _dice()(logits.softmax(dim=1), target, known[:, None].float())
    return partial_cross_entropy(logits, labels) + dice


def partial_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of known pixels; 0 where there are none. Shapes as above."""
    total = F.cross_entropy(logits, labels, ignore_index=UNKNOWN, reduction="sum")
    return total / (labels != UNKNOWN).sum().clamp(min=1)


def balanced_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean over classes of the mean cross-entropy of the known pixels of each (DSRG, CVPR 2018).

    However few pixels a class has, it counts as much as the others; classes without pixels in the
    batch do not count.

    Args:
        logits: float32 [B, K, s, s].
        labels: int64 [B, s, s]: below K, or :data:`~camzoo.data.labels.UNKNOWN`.
        weights: How much a pixel counts in its class, [B, s, s]; None weighs all alike.
    """
    each = F.cross_entropy(logits, labels, ignore_index=UNKNOWN, reduction="none")
    known = labels != UNKNOWN
    counted = known.float() if weights is None else weights * known
    pixels = F.one_hot(labels.where(known, 0), logits.shape[1]).float() * counted[..., None]
    mass = pixels.sum(dim=(0, 1, 2))
    means = (pixels * each[..., None]).sum(dim=(0, 1, 2)) / mass.clamp(min=1)
    return means.sum() / (mass > 0).sum().clamp(min=1)


@cache
def _dice() -> nn.Module:
    from monai.losses.dice import MaskedDiceLoss  # takes seconds to import

    loss: nn.Module = MaskedDiceLoss(include_background=False, batch=True)
    return loss
