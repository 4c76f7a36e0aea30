"""The random walk of AffinityNet and IRNet as products with a stencil.

The authors' code builds the matrix T of all pairs of pixels and squares it: (h w)² numbers, and
(h w)³ multiplications for each squaring. T has some 69 entries per column, though, and what is
wanted is x Tⁿ. That is n products of a vector with a sparse matrix, or n times 2 P shifted sums.
"""

from __future__ import annotations

import torch
from torch import Tensor

from camzoo.core.errors import ConfigError
from camzoo.refine.neighbours import ends
from camzoo.refine.pair_affinity import PairAffinity


@torch.no_grad()
def random_walk(maps: Tensor, affinity: PairAffinity, *, beta: float, steps: int) -> Tensor:
    """Spread maps over neighbours that belong together: x Tⁿ.

    With the affinities A [h w, h w], symmetric, a_ii = 1 and 0 beyond the radius::

        T_ij = a_ij^beta / sum_k a_kj^beta,    y = x Tⁿ,    n = ``steps``

    where x is a row vector (Ahn and Kwak, CVPR 2018: AffinityNet; Ahn et al., CVPR 2019: IRNet;
    normalised and multiplied as in the code of both). Columns of T sum to one: each step gives a
    pixel the weighted mean of its neighbourhood. Constants stay, and no value leaves the range of
    its neighbours. Conserved is not the plain sum but sum_j d_j x_j, with d_j = sum_k a_kj^beta.

    Args:
        maps: [B, C, h, w], float32 or float64; the walk runs in their type.
        affinity: Affinities of the pixels of the same grid.
        beta: Exponent; larger is more cautious.
        steps: Number n of steps; the papers' code squares T ``log2 n`` times.

    Returns:
        [B, C, h, w].

    Raises:
        ConfigError: ``beta`` or ``steps`` is out of range, or maps and affinities do not fit.
    """
    _check(maps, affinity, beta, steps)
    weights = affinity.values.to(maps.dtype) ** beta
    # Such weights move nothing that the type can tell from 1, but numbers that underflow take a
    # processor ten times as long.
    weights[weights < torch.finfo(maps.dtype).eps ** 2] = 0
    walked, flows, scratch = maps.clone(), torch.empty_like(maps), torch.empty_like(maps)
    degrees = torch.ones_like(maps[:, :1])
    height, width = maps.shape[2:]
    # Windows are cut once: cutting takes as long as multiplying.
    terms = []
    for index, offset in enumerate(affinity.offsets):
        i, j = ((..., *window) for window in ends(height, width, offset))
        weight = weights[:, index, None][i]
        degrees[i] += weight
        degrees[j] += weight
        terms.append((walked[i], walked[j], scratch[i], weight, flows[i], flows[j]))
    # y_j = x_j + sum_i a_ij^beta (x_i - x_j) / d_j is the same step as the weighted mean, but
    # rounds in proportion to differences: single precision holds over hundreds of steps.
    for _ in range(steps):
        flows.zero_()
        for first, second, apart, weight, to_first, to_second in terms:
            torch.sub(second, first, out=apart)
            to_first.addcmul_(weight, apart)
            to_second.addcmul_(weight, apart, value=-1)
        walked.addcdiv_(flows, degrees)
    return walked


def _check(maps: Tensor, affinity: PairAffinity, beta: float, steps: int) -> None:
    if beta <= 0:
        raise ConfigError(f"beta of the random walk must be positive, got {beta}")
    if steps < 1:
        raise ConfigError(f"a random walk takes one step or more, got {steps}")
    if not maps.is_floating_point() or maps.element_size() < torch.float32.itemsize:
        raise ConfigError(f"maps of a random walk must be float32 or float64, got {maps.dtype}")
    batch, _, *grid = maps.shape
    have = [affinity.values.shape[0], *affinity.values.shape[2:]]
    if have != [batch, *grid]:
        raise ConfigError(
            f"maps and affinities must share batch and grid: maps have {[batch, *grid]}, "
            f"affinities {have}; resize the maps to the grid of the affinities"
        )
