"""Co-attention: every place of a slice looks for its like in another one, and takes what is there.

Sun, Wang, Dai and Van Gool, "Mining cross-image semantics for weakly supervised semantic
segmentation", ECCV 2020, §3.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class CoAttention(nn.Module):
    """How alike places of two slices are, by a matrix W that is learnt: P = F_m^T W F_n.

    W starts as the identity over the root of the number of channels, so that at first places are
    alike as far as their features are (the scaled dot product).

    Args:
        channels: Number of channels K of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(channels) / math.sqrt(channels))

    def keys(self, second: Tensor) -> Tensor:
        """Return what places of the first slices are multiplied with, W F_n: [B, K, M].

        Args:
            second: Features of the second slices, [B, K, M].
        """
        return self.weight @ second

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the affinity P of all places of each pair, [B, N, M].

        Args:
            first: Features of the first slices, [B, K, N].
            second: Features of the second slices, [B, K, M].
        """
        return first.mT @ self.keys(second)


def carried(affinity: Tensor, planes: Tensor) -> Tensor:
    """Carry planes of the second slices to the places of the first ones.

    Every place of a first slice gets the mean of the second one's places, weighed by the softmax of
    its affinity to them. The other way round it is ``carried(affinity.mT, planes_of_the_first)``.

    Args:
        affinity: [B, N, M].
        planes: Features, or what is linear in them, at the places of the second slices: [B, P, M],
            or [P, M] for all pairs.

    Returns:
        [B, P, N].
    """
    return planes @ affinity.softmax(dim=2).mT
