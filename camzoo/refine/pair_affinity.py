"""How strongly neighbouring pixels belong together: by edges (IRNet) or features (AffinityNet)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.refine.neighbours import Offset, ends, half_plane, line


@dataclass(frozen=True)
class PairAffinity:
    """Affinities a_ij on [0, 1] of all pairs of pixels within a radius.

    Attributes:
        values: [B, P, h, w], one plane per offset; 0 where the second pixel lies off the grid.
        offsets: The P offsets from the first pixel of a pair to the second.
    """

    values: Tensor
    offsets: tuple[Offset, ...]


def affinity_from_edges(edges: Tensor, radius: int) -> PairAffinity:
    """a_ij = 1 - max of the edge map over the line from i to j (Ahn et al., CVPR 2019: IRNet).

    The gradient flows into the pixel of the line where the edge is strongest.

    Args:
        edges: Probability of an edge, [B, h, w].
        radius: Radius of the neighbourhood in pixels of the map.

    Raises:
        ConfigError: The radius is too small.
    """
    offsets = half_plane(radius)
    height, width = edges.shape[1:]
    # Beyond the border all is edge: pairs that leave the grid get no affinity, nor a gradient.
    reach = radius - 1
    padded = F.pad(edges, (reach, reach, 0, reach), value=1.0)
    strongest = [_strongest(padded.detach(), offset, height, width, reach) for offset in offsets]
    places = torch.stack(strongest, dim=1)  # [B, P, h, w], indices into the padded map
    values = 1 - padded.flatten(1).gather(1, places.flatten(1)).view_as(places)
    return PairAffinity(values, offsets)


def _strongest(padded: Tensor, offset: Offset, height: int, width: int, left: int) -> Tensor:
    """Where on the line from each pixel the edge is strongest: flat index [B, h, w]."""
    stride = padded.shape[-1]
    best = padded[:, :height, left : left + width].clone()
    step = torch.zeros_like(best, dtype=torch.int64)
    for dy, dx in line(offset):
        edge = padded[:, dy : dy + height, left + dx : left + dx + width]
        step.masked_fill_(edge > best, dy * stride + dx)
        torch.maximum(best, edge, out=best)
    rows = torch.arange(height, device=padded.device)[:, None] * stride
    return step + rows + torch.arange(left, left + width, device=padded.device)


def affinity_from_features(features: Tensor, radius: int) -> PairAffinity:
    """a_ij = exp(-mean_k |f_ik - f_jk|) (AffinityNet; the mean is that of the authors' code).

    Args:
        features: [B, K, h, w].
        radius: Radius of the neighbourhood in pixels of the features.

    Raises:
        ConfigError: The radius is too small.
    """
    offsets = half_plane(radius)
    batch, _, height, width = features.shape
    planes = []
    for offset in offsets:
        first, second = ends(height, width, offset)
        apart = (features[(..., *first)] - features[(..., *second)]).abs().mean(dim=1)
        plane = features.new_zeros(batch, height, width)
        plane[(..., *first)] = torch.exp(-apart)
        planes.append(plane)
    return PairAffinity(torch.stack(planes, dim=1), offsets)
