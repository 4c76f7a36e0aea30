"""The loss on affinities of pairs that AffinityNet and IRNet share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.core.errors import ConfigError
from camzoo.data.labels import UNKNOWN
from camzoo.refine.neighbours import Offset
from camzoo.refine.pair_affinity import PairAffinity

#: Keeps the logarithm finite (both papers' code).
_LEAST = 1e-5


def affinity_loss(affinity: PairAffinity, labels: Tensor) -> Tensor:
    """Pull pairs of one label together and push pairs of two apart.

    (bg + fg) / 4 + neg / 2: the means of -log a over pairs within the background and within a
    class, and of -log(1 - a) over pairs of two labels; a mean over no pairs counts as 0. Ahn and
    Kwak, CVPR 2018; Ahn et al., CVPR 2019, without its displacement field. Pairs at the border
    count, too; the authors' code leaves out pixels with a part of their neighbourhood off the grid.

    Args:
        affinity: Affinities in B slices.
        labels: [B, h, w]: 0 background, 1..C classes, UNKNOWN.

    Returns:
        A scalar.

    Raises:
        ConfigError: Labels and affinities do not share batch and grid.
    """
    values = affinity.values
    if labels.shape != values[:, 0].shape:
        raise ConfigError(
            f"labels and affinities must share batch and grid, got labels {list(labels.shape)} "
            f"and affinities of {list(values[:, 0].shape)}"
        )
    first, second = labels[:, None], _second(labels, affinity.offsets)
    known = (first != UNKNOWN) & (second != UNKNOWN)
    same = (first == second) & known
    together = -torch.log(values + _LEAST)
    apart = -torch.log(1 + _LEAST - values)
    background = mean_over(together, same & (first == 0))
    foreground = mean_over(together, same & (first > 0))
    return (background + foreground) / 4 + mean_over(apart, known & ~same) / 2


def mean_over(losses: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of losses over what is chosen; 0 where nothing is.

    Args:
        losses: Finite, of any shape.
        chosen: bool, likewise.
    """
    return (losses * chosen).sum() / chosen.sum().clamp_min(1)


def _second(labels: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
    """Labels of the second pixels of all pairs, [B, P, h, w]; UNKNOWN off the grid."""
    height, width = labels.shape[1:]
    reach = max(max(dy, abs(dx)) for dy, dx in offsets)
    padded = F.pad(labels, (reach, reach, 0, reach), value=UNKNOWN)
    shifted = [padded[:, dy : dy + height, reach + dx : reach + dx + width] for dy, dx in offsets]
    return torch.stack(shifted, dim=1)
