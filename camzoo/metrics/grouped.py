"""Means and percentiles of values that carry the number of their group."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.intp]
FloatArray = NDArray[np.float64]


def mean_by(group: IntArray, values: FloatArray, groups: int) -> FloatArray:
    """Return the mean of the values of each group, shape [groups].

    NaN values are left out; a group without others is NaN.
    """
    there = ~np.isnan(values)
    counts = np.bincount(group[there], minlength=groups)
    sums = np.bincount(group[there], weights=values[there], minlength=groups)
    mean: FloatArray = np.divide(sums, counts, out=np.full(groups, np.nan), where=counts > 0)
    return mean


def percentile_by(group: IntArray, values: FloatArray, groups: int, percent: float) -> FloatArray:
    """Return the percentile of each group, interpolated linearly as numpy does; NaN if empty."""
    counts = np.bincount(group, minlength=groups)
    filled = np.flatnonzero(counts)
    ordered = values[np.lexsort((values, group))]
    place = (np.cumsum(counts) - counts)[filled] + percent / 100 * (counts[filled] - 1)
    low, high = np.floor(place).astype(np.intp), np.ceil(place).astype(np.intp)
    out: FloatArray = np.full(groups, np.nan)
    out[filled] = ordered[low] + (place - low) * (ordered[high] - ordered[low])
    return out
