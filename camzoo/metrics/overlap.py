"""Overlap of two masks, all from three counts: true positives, predicted and reference voxels.

Counts add up, so the same functions serve a case in 3-D, a slice, and a pooled data set.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from camzoo.core.errors import DataError

FloatArray = NDArray[np.float64]


class Counts(NamedTuple):
    """Voxels in both masks, in the prediction, and in the reference."""

    tp: int
    n_pred: int
    n_ref: int


def as_mask(array: ArrayLike, name: str = "mask") -> NDArray[np.bool_]:
    """Return ``array`` as booleans, refusing anything that is not a binary mask.

    Args:
        array: Any shape; booleans, or numbers that are all 0 or 1.
        name: What the message calls the array.

    Raises:
        DataError: Naming the values that are neither 0 nor 1.
    """
    mask: NDArray[Any] = np.asarray(array)
    if mask.dtype == np.bool_:
        return mask
    positive: NDArray[np.bool_] = mask == 1
    strange = mask[~positive & (mask != 0)]
    if strange.size:
        found = ", ".join(str(value) for value in np.unique(strange)[:5])
        raise DataError(
            f"{name} must be binary (0 and 1), but also holds {found}; threshold a map first, "
            "and pick one class of a label volume (labels == class)"
        )
    return positive


def require_same_shape(pred: NDArray[Any], ref: NDArray[Any]) -> None:
    """Refuse two arrays that do not share a grid.

    Raises:
        DataError: Naming both shapes.
    """
    if pred.shape != ref.shape:
        raise DataError(
            f"prediction and reference differ in shape: {pred.shape} and {ref.shape}; "
            "resample the prediction to the grid of the reference"
        )


def overlap_counts(pred: ArrayLike, ref: ArrayLike) -> Counts:
    """Count the voxels of two binary masks of one shape.

    Raises:
        DataError: The shapes differ or a mask is not binary.
    """
    a, b = as_mask(pred, "prediction"), as_mask(ref, "reference")
    require_same_shape(a, b)
    return Counts(*(int(np.count_nonzero(m)) for m in (a & b, a, b)))


def slice_counts(pred: ArrayLike, ref: ArrayLike, axis: int = 0) -> NDArray[np.int64]:
    """Count per slice: shape [n, 3] with columns tp, n_pred, n_ref, from masks [z, y, x].

    Args:
        pred: Prediction, binary.
        ref: Reference, binary.
        axis: Along which the n slices follow each other.

    Raises:
        DataError: The shapes differ or a mask is not binary.
    """
    a, b = as_mask(pred, "prediction"), as_mask(ref, "reference")
    require_same_shape(a, b)
    # Counting whole slices one by one is ten times faster than numpy's counting along axes.
    masks = (np.moveaxis(mask, axis, 0) for mask in (a & b, a, b))
    return np.array([[np.count_nonzero(part) for part in mask] for mask in masks]).T


def dice(tp: ArrayLike, n_pred: ArrayLike, n_ref: ArrayLike) -> FloatArray:
    """Dice similarity coefficient 2|A∩B| / (|A|+|B|); both masks empty: 1 (Dice, 1945)."""
    return _ratio(2 * np.asarray(tp), np.asarray(n_pred) + np.asarray(n_ref))


def iou(tp: ArrayLike, n_pred: ArrayLike, n_ref: ArrayLike) -> FloatArray:
    """Intersection over union |A∩B| / (|A|+|B|-|A∩B|) (Jaccard index); both masks empty: 1."""
    return _ratio(np.asarray(tp), np.asarray(n_pred) + np.asarray(n_ref) - np.asarray(tp))


def precision(tp: ArrayLike, n_pred: ArrayLike, n_ref: ArrayLike) -> FloatArray:
    """Share of the prediction that is right, |A∩B| / |A|; nothing predicted: 0, both empty: 1."""
    return _share(tp, n_pred, other=n_ref)


def recall(tp: ArrayLike, n_pred: ArrayLike, n_ref: ArrayLike) -> FloatArray:
    """Share of the reference that is found, |A∩B| / |B|; reference empty: 0, both empty: 1."""
    return _share(tp, n_ref, other=n_pred)


def volume_difference_ml(n_pred: ArrayLike, n_ref: ArrayLike, voxel_mm3: ArrayLike) -> FloatArray:
    """Predicted minus reference volume in millilitres; positive where too much is segmented."""
    difference = np.asarray(n_pred, dtype=np.float64) - np.asarray(n_ref, dtype=np.float64)
    return np.asarray(difference * np.asarray(voxel_mm3) / 1000.0)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> FloatArray:
    """``part / whole``, and 1 where both are 0."""
    whole = np.asarray(whole, dtype=np.float64)
    return _divide(part, whole, otherwise=np.ones_like(whole))


def _share(tp: ArrayLike, whole: ArrayLike, other: ArrayLike) -> FloatArray:
    """``tp / whole``; where ``whole`` is empty, 1 if ``other`` is empty too and else 0."""
    whole = np.asarray(whole, dtype=np.float64)
    missing = (np.asarray(other) == 0).astype(np.float64)
    return _divide(np.asarray(tp), whole, otherwise=np.broadcast_to(missing, whole.shape))


def _divide(part: NDArray[Any], whole: FloatArray, otherwise: FloatArray) -> FloatArray:
    out: FloatArray = np.divide(part, whole, out=otherwise.copy(), where=whole != 0)
    return out
