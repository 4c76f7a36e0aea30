"""Surface distances slice by slice: each slice is measured in its plane, by itself.

The surface of a slice is its outline (mask minus erosion by the 4 neighbours in the plane). Numbers
per slice leave out everything across slices and are not comparable with those of the volume; hence
their names of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import DataError
from camzoo.metrics.grouped import mean_by, percentile_by
from camzoo.metrics.nearest import FloatArray, IntArray, NearestPoint
from camzoo.metrics.overlap import as_mask, require_same_shape
from camzoo.metrics.surface import require_spacing, surface_points

_IN_PLANE = (1, 2)


@dataclass(frozen=True)
class SliceDistances:
    """Distances per slice, shape [n]; NaN in slices where a mask is empty.

    Attributes:
        asd: Pooled mean over both outlines.
        mad: Mean from the predicted outline to that of the reference.
        hd95: 95th percentile over both outlines, pooled.
        n_failed: Slices in which one mask is empty and the other is not.
    """

    asd: FloatArray
    mad: FloatArray
    hd95: FloatArray
    n_failed: int

    @property
    def n(self) -> int:
        """Number of slices in which both masks are present."""
        return int(np.isfinite(self.asd).sum())


class ReferenceSlices:
    """The outlines of a reference, found once and compared with any number of predictions.

    Args:
        mask: Shape [z, y, x], binary.
        spacing: (z, y, x) in mm.
        axis: Along which the slices follow each other.

    Raises:
        DataError: The mask is not binary or not a volume.
        GeometryError: The spacing does not fit.
    """

    def __init__(self, mask: NDArray[Any], spacing: Sequence[float], axis: int = 0) -> None:
        self.mask = as_mask(mask, "reference")
        if self.mask.ndim != 3:
            raise DataError(f"slices need a volume [z, y, x], got shape {self.mask.shape}")
        y, x = np.delete(require_spacing(spacing, self.mask.shape), axis)
        self.axis = axis
        # All slices are measured at once: moved so far apart that no other slice is ever nearer.
        apart = 2.0 * float(np.hypot(*np.delete(self.mask.shape, axis) * (y, x)))
        self._spacing = np.array([apart, y, x])
        self._points = self._outlines(self.mask)

    @property
    def extent(self) -> dict[str, int]:
        """How many slices the volume has, and how many of them show the organ."""
        depth = self.mask.shape[self.axis]
        return {
            "slices_all": depth,
            "slices_there": int(np.count_nonzero(_has(self._points, depth))),
        }

    def distances(self, pred: NDArray[Any]) -> SliceDistances:
        """Measure a prediction on the grid of the reference.

        Raises:
            DataError: The prediction is not binary or has another shape.
        """
        mask = as_mask(pred, "prediction")
        require_same_shape(mask, self.mask)
        depth, points = mask.shape[self.axis], self._outlines(mask)
        both = _has(points, depth) & _has(self._points, depth)
        either = _has(points, depth) | _has(self._points, depth)
        ours, theirs = points[both[points[:, 0]]], self._points[both[self._points[:, 0]]]
        forward, backward = np.empty(0), np.empty(0)
        if both.any():
            forward = self._nearest.distances(ours)
            backward = NearestPoint(points, self._spacing).distances(theirs)
        pooled, where = np.append(forward, backward), np.append(ours[:, 0], theirs[:, 0])
        return SliceDistances(
            asd=mean_by(where, pooled, depth),
            mad=mean_by(ours[:, 0], forward, depth),
            hd95=percentile_by(where, pooled, depth, 95),
            n_failed=int(np.count_nonzero(either & ~both)),
        )

    def _outlines(self, mask: NDArray[np.bool_]) -> IntArray:
        """Points of all outlines: slice, row, column."""
        return surface_points(np.moveaxis(mask, self.axis, 0), _IN_PLANE)

    @cached_property
    def _nearest(self) -> NearestPoint:
        return NearestPoint(self._points, self._spacing)


def _has(points: IntArray, depth: int) -> NDArray[np.bool_]:
    return np.bincount(points[:, 0], minlength=depth) > 0
