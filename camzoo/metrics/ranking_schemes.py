"""The ways in which challenges rank, as challengeR has them (Wiesenfarth et al., 2021).

All take scores [n, m], a row per case and a column per method, higher is better, and give ranks [m]
from 1 on; methods that tie share the smaller rank. Undefined scores have to be filled before, by
the worst that there is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from camzoo.metrics.statistics import FloatArray, wilcoxon_p

IntArray = NDArray[np.intp]
#: A test finds a difference below this p.
_LEVEL: Final = 0.05


def mean_then_rank(scores: FloatArray) -> IntArray:
    """Rank the means over cases."""
    return _ranks(scores.mean(axis=0))


def median_then_rank(scores: FloatArray) -> IntArray:
    """Rank the medians over cases."""
    return _ranks(np.median(scores, axis=0))


def rank_then_mean(scores: FloatArray) -> IntArray:
    """Rank the methods of each case, and then their mean ranks."""
    return _ranks(-_ranks(scores).mean(axis=0))


def wins_then_rank(scores: FloatArray) -> IntArray:
    """Rank by how many methods each one beats in a one-sided Wilcoxon test, uncorrected.

    The test is exact up to 100 cases, where challengeR approximates it.
    """
    won = [
        np.count_nonzero(
            wilcoxon_p(mine[:, None] - np.delete(scores, i, 1), greater=True) <= _LEVEL
        )
        for i, mine in enumerate(scores.T)
    ]
    return _ranks(np.array(won, dtype=np.float64))


#: By name, as tables have them.
SCHEMES: Final[dict[str, Callable[[FloatArray], IntArray]]] = {
    "mean, then rank": mean_then_rank,
    "median, then rank": median_then_rank,
    "rank, then mean": rank_then_mean,
    "test, then rank": wins_then_rank,
}


def _ranks(scores: FloatArray) -> IntArray:
    """Ranks along the last axis: one more than how many are higher."""
    ranks: IntArray = 1 + (scores[..., None, :] > scores[..., :, None]).sum(axis=-1)
    return ranks
