"""As good as how many annotated patients: from scores to the number of masks that give the same.

The score of training on the masks of k patients grows with k. Between the numbers that were tried
it is taken to be linear in log k, and made to fall nowhere by isotonic regression, since more masks
do no harm but by chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from camzoo.core.errors import ConfigError
from camzoo.metrics.statistics import Interval, bootstrap_means, expanded_tail

FloatArray = NDArray[np.float64]


class Worth(NamedTuple):
    """A number of annotated patients.

    Attributes:
        patients: 0 is fewer than the fewest that were tried, infinity more than the most.
        interval: The same of replicates in which test patients are drawn anew; both ends are NaN
            for a single one.
    """

    patients: float
    interval: Interval


class ExchangeRate:
    """What masks of so many patients give, to be compared with other scores of the same cases.

    Args:
        scores: Score of each test case, [N], by how many patients were annotated; larger is
            better. What differs between draws of these patients is averaged beforehand.
        patients: Test patient of each case, [N].

    Raises:
        ConfigError: Fewer than two numbers of patients were tried.
    """

    def __init__(self, scores: Mapping[int, ArrayLike], patients: ArrayLike) -> None:
        if len(scores) < 2:
            raise ConfigError(
                "an exchange rate needs masks of at least two numbers of patients, got "
                f"{len(scores)}"
            )
        self._patients = np.asarray(patients)
        self.sizes = np.array(sorted(scores), np.int64)
        table = np.stack(
            [np.asarray(scores[size], np.float64) for size in self.sizes.tolist()], axis=1
        )
        self.means: FloatArray = table.mean(axis=0)
        self._resampled = bootstrap_means(table, self._patients)  # [replicates, sizes]

    def worth(self, scores: ArrayLike) -> Worth:
        """Return how many annotated patients give the mean of ``scores`` [N]."""
        values = np.asarray(scores, np.float64)
        found = _crossing(self.sizes, _rising(self.means), float(values.mean()))
        if len(np.unique(self._patients)) < 2:
            return Worth(found, Interval(np.nan, np.nan))
        each = [
            _crossing(self.sizes, _rising(curve), float(mean))
            for curve, mean in zip(
                self._resampled, bootstrap_means(values, self._patients), strict=True
            )
        ]
        tail = expanded_tail(self._patients)
        # Quantiles of the order alone: between 16 and infinity there is nothing half-way.
        low, high = np.quantile(each, [tail, 1 - tail], method="inverted_cdf")
        return Worth(found, Interval(float(low), float(high)))

    def gives(self, patients: int) -> float:
        """Return the mean score that masks of so many patients give; NaN beyond what was tried."""
        inside = self.sizes[0] <= patients <= self.sizes[-1]
        rising = _rising(self.means)
        return (
            float(np.interp(np.log2(patients), np.log2(self.sizes), rising)) if inside else np.nan
        )


def _rising(means: FloatArray) -> FloatArray:
    fitted: FloatArray = isotonic_regression(means).x
    return fitted


def _crossing(sizes: NDArray[np.int64], rising: FloatArray, score: float) -> float:
    """The fewest patients whose masks give a score."""
    at = int(np.searchsorted(rising, score, side="left"))
    if at == 0:
        return float(sizes[0]) if score == rising[0] else 0.0
    if at == len(sizes):
        return float("inf")
    share = (score - rising[at - 1]) / (rising[at] - rising[at - 1])
    low, high = np.log2(sizes[at - 1 : at + 1])
    return float(2 ** (low + share * (high - low)))
