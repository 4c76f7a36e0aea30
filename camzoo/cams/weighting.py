"""Weighted sums over channels, for weights per channel or per channel and place.

Weights are [B or 1, C, K, h or 1, w or 1]: axes of size 1 stand for a value that is the same
everywhere, as :meth:`camzoo.cams.view.feature_view.FeatureView.gradients` gives them when asked
to be compact.
"""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_sum(weights: Tensor, features: Tensor) -> Tensor:
    """Return the maps sum_k w_ck A_k, [B, C, h, w], of features [B, K, h, w]."""
    batch, _, height, width = features.shape
    if weights.shape[3:] == (1, 1):
        return (weights[..., 0, 0] @ features.flatten(2)).view(batch, -1, height, width)
    # Class by class: the product of all at once would be a copy of the gradients.
    maps = [(weights[:, c] * features).sum(1) for c in range(weights.shape[1])]
    return torch.stack(maps, dim=1)


def mass(weights: Tensor, features: Tensor) -> Tensor:
    """Return sum_ij w_ckij A_kij over the places, [B, C, K, 1, 1]."""
    if weights.shape[3:] == (1, 1):
        return weights * features.sum((2, 3))[:, None, :, None, None]
    sums = [(weights[:, c] * features).sum((2, 3)) for c in range(weights.shape[1])]
    return torch.stack(sums, dim=1)[..., None, None]


def total(weights: Tensor, features: Tensor) -> Tensor:
    """Return sum_ij w_ckij over the places of ``features``, [B or 1, C, K, 1, 1]."""
    if weights.shape[3:] == (1, 1):
        return weights * features[0, 0].numel()
    return weights.sum((3, 4), keepdim=True)
