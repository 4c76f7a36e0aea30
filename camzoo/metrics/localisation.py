"""Where a map points, without any threshold, and how alike two maps are.

Pure functions of arrays. Maps are not negative; larger means more evidence for the organ.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from camzoo.core.errors import DataError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
#: Names of the parts of :func:`thirds`.
SIZES: Final = ("small", "middle", "large")


def average_precision(scores: NDArray[Any], positive: BoolArray) -> float:
    """Return the area under the curve of precision over recall: sum of (R_n - R_n-1) P_n.

    The sum runs over all values of the scores as thresholds, without interpolation between them;
    equal scores are taken together. Scores that say nothing give the share of positives.

    Source: average precision as in scikit-learn's ``average_precision_score``; see Davis and
    Goadrich, ICML 2006, for why lines between the points of this curve would be wrong.

    Args:
        scores: Any shape; larger means more likely positive.
        positive: Of the same shape.

    Returns:
        0 to 1; NaN where nothing is positive.

    Raises:
        DataError: Shapes differ, or a score is NaN.
    """
    _require_pair(scores, positive)
    if np.isnan(scores).any():
        raise DataError("scores hold NaN, which has no rank among them")
    order = np.argsort(-scores.reshape(-1).astype(np.float64), kind="stable")
    sorted_scores, hits = scores.reshape(-1)[order], positive.reshape(-1)[order]
    if not hits.any():
        return math.nan
    last = np.flatnonzero(np.append(sorted_scores[1:] != sorted_scores[:-1], True))
    found = np.cumsum(hits)[last]
    precision, recall = found / (last + 1), found / found[-1]
    return float(np.sum(np.diff(recall, prepend=0) * precision))


def pointing(values: NDArray[Any], mask: BoolArray) -> float:
    """Return whether the maximum of a map lies in the organ: 0 or 1.

    Of several places that share the maximum each counts for its part. An empty map points nowhere,
    and that is a miss. There is no margin around the organ.

    Source: the pointing game of Zhang et al., Top-down neural attention by excitation backprop,
    IJCV 2018 (ECCV 2016), which allows 15 pixels around the object; here there are none.

    Args:
        values: The map, [rows, columns].
        mask: The organ, of the same shape.

    Raises:
        DataError: Shapes differ.
    """
    _require_pair(values, mask)
    peak = values.max()
    return float(mask[values == peak].mean()) if peak > 0 else 0.0


def energy(values: NDArray[Any], mask: BoolArray) -> float:
    """Return the share of the mass of a map that lies in the organ, 0 to 1; 0 for an empty map.

    Source: the energy-based pointing game of Wang et al., Score-CAM, CVPR workshops 2020, with
    the organ's mask in the place of a box.

    Args:
        values: The map, [rows, columns].
        mask: The organ, of the same shape.

    Raises:
        DataError: Shapes differ.
    """
    _require_pair(values, mask)
    mass = values.sum(dtype=np.float64)
    return float(values.sum(dtype=np.float64, where=mask) / mass) if mass > 0 else 0.0


def standard_ranks(values: NDArray[Any]) -> FloatArray:
    """Return the ranks of each row, moved to mean 0 and scaled to length 1; 0 for a constant row.

    Equal values share the mean of their ranks. The scalar product of two such rows is their rank
    correlation.

    Args:
        values: Shape [n, P].
    """
    ranks = rankdata(values, axis=1) - (values.shape[1] + 1) / 2
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.asarray(np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0))


def rank_correlation(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return Spearman's correlation of the rows of two arrays, from their :func:`standard_ranks`.

    Where one of the two is constant, as an empty map is, they have no order in common, and the
    value is 0; where both are, there is no order to compare, and it is NaN.

    Source: Spearman 1904; as a measure of how alike two maps are, Adebayo et al., Sanity checks for
    saliency maps, NeurIPS 2018, without the absolute value.

    Args:
        one: Standard ranks, [n, P].
        other: Of the same shape.

    Returns:
        -1 to 1, [n].

    Raises:
        DataError: Shapes differ.
    """
    _require_pair(one, other)
    products = np.einsum("np,np->n", one, other).clip(-1, 1)
    return np.where(one.any(axis=1) | other.any(axis=1), products, math.nan)


def thirds(areas: NDArray[Any]) -> NDArray[np.intp]:
    """Divide slices into thirds by the area of their organ: 0 small, 1 middle, 2 large.

    The limits are the quantiles 1/3 and 2/3 of the areas, and belong to the part below them.
    Slices of one area are therefore in one third, however many there are.

    Args:
        areas: One per slice, [n].
    """
    limits = np.quantile(areas, [1 / 3, 2 / 3]) if len(areas) else np.zeros(2)
    return np.asarray(np.searchsorted(limits, areas, side="left"), np.intp)


def _require_pair(one: NDArray[Any], other: NDArray[Any]) -> None:
    if one.shape != other.shape or not one.size:
        raise DataError(
            f"expected two arrays of one shape, not empty; got {one.shape}, {other.shape}"
        )
