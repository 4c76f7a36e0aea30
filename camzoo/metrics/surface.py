"""Surface distances in millimetres, all from one pair of distance arrays.

The surface of a mask is the mask minus its erosion by the direct neighbours (6 in 3-D, 4 in 2-D).
Voxels outside the array count as background, so an object cut by the border has a surface there
(as in medpy, MONAI and panoptica). Distances run between voxel centres: tools that put the surface
on voxel faces or on a mesh differ by up to about half a voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import DataError, GeometryError
from camzoo.metrics.nearest import FloatArray, IntArray, NearestPoint
from camzoo.metrics.overlap import as_mask, require_same_shape
from camzoo.metrics.status import Status

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SurfaceDistances:
    """Both directed distances between two surfaces, and every metric made from them.

    Where one mask is empty the distances are NaN (and :meth:`nsd` is 0); where both are empty
    they are 0 (and :meth:`nsd` is 1). ``status`` says which it was.

    Attributes:
        forward: Shape [n_a]: mm from each surface voxel of the prediction to the reference.
        backward: Shape [n_b]: mm from each surface voxel of the reference to the prediction.
        status: Whether a mask was empty.
    """

    forward: FloatArray
    backward: FloatArray
    status: Status

    @property
    def asd(self) -> float:
        """Average surface distance: the mean over the points of both surfaces, pooled."""
        return _mean(self._pooled)

    @property
    def mad(self) -> float:
        """Mean absolute distance: directed, from the prediction to the reference."""
        return _mean(self._directed(self.forward))

    @property
    def mad_reverse(self) -> float:
        """Mean distance from the reference to the prediction."""
        return _mean(self._directed(self.backward))

    @property
    def assd(self) -> float:
        """Unweighted mean of the two directed means."""
        return (self.mad + self.mad_reverse) / 2

    @property
    def hd(self) -> float:
        """Hausdorff distance: the largest distance of either direction."""
        return float(np.max(self._pooled))

    @property
    def hd95(self) -> float:
        """95th percentile of the distances of both directions pooled, linearly interpolated."""
        return float(np.percentile(self._pooled, 95))

    def nsd(self, tolerance: float) -> float:
        """Normalised surface distance: share of both surfaces within ``tolerance`` mm.

        Every surface voxel counts once (Nikolov et al., 2018, weight by surface area instead).

        Raises:
            DataError: The tolerance is negative.
        """
        if not tolerance >= 0:
            raise DataError(f"the tolerance of NSD must be 0 mm or more, got {tolerance}")
        if self.status is not Status.OK:
            return float(self.status is Status.EMPTY_BOTH)
        return float(np.mean(self._pooled <= tolerance))

    @property
    def _pooled(self) -> FloatArray:
        return self._directed(np.concatenate([self.forward, self.backward]))

    def _directed(self, distances: FloatArray) -> FloatArray:
        """Return ``distances``, or the one number that stands for an empty mask."""
        if self.status is Status.OK:
            return distances
        return np.array([0.0 if self.status is Status.EMPTY_BOTH else np.nan])


class ReferenceSurface:
    """The surface of a reference mask, found once and compared with any number of predictions.

    Args:
        mask: Shape [z, y, x] or [y, x], binary. An axis of length 1 is no direction in which a
            surface lies: a volume of one slice is measured in its plane.
        spacing: mm between voxels, in the order of the axes of ``mask``: (z, y, x) or (y, x).

    Raises:
        DataError: The mask is not binary, or has neither 2 nor 3 axes.
        GeometryError: The spacing is missing, or not one positive number per axis.
    """

    def __init__(self, mask: NDArray[Any], spacing: Sequence[float]) -> None:
        self.mask = as_mask(mask, "reference")
        self.spacing = require_spacing(spacing, self.mask.shape)
        self._axes = [i for i, n in enumerate(self.mask.shape) if n > 1]
        self._points = self._surface(self.mask)

    @property
    def diagonal_mm(self) -> float:
        """Diagonal of the volume: the distance that a failure is counted as."""
        return float(np.linalg.norm(np.multiply(self.mask.shape, self.spacing)))

    def distances(self, pred: NDArray[Any], within: slice = slice(None)) -> SurfaceDistances:
        """Measure a prediction on the grid of the reference.

        Args:
            pred: The prediction.
            within: Slices (first axis) whose surface points count. They are measured to the other
                surface as a whole.

        Raises:
            DataError: The prediction is not binary or has another shape.
        """
        mask = as_mask(pred, "prediction")
        require_same_shape(mask, self.mask)
        points = self._surface(mask)
        ours, theirs = self._only(points, within), self._only(self._points, within)
        status = Status.of(len(ours), len(theirs))
        if status is not Status.OK:
            return SurfaceDistances(np.empty(0), np.empty(0), status)
        forward = self._nearest.distances(ours)
        return SurfaceDistances(forward, self._index(points).distances(theirs), status)

    @cached_property
    def _nearest(self) -> NearestPoint:
        return self._index(self._points)

    def _index(self, points: IntArray) -> NearestPoint:
        return NearestPoint(points, np.array(self.spacing))

    def _surface(self, mask: Mask) -> IntArray:
        return surface_points(mask, self._axes)

    def _only(self, points: IntArray, within: slice) -> IntArray:
        start, stop, _ = within.indices(len(self.mask))
        first = points[:, 0]
        whole = start == 0 and stop == len(self.mask)
        return points if whole else points[(first >= start) & (first < stop)]


def surface_distances(
    pred: NDArray[Any], ref: NDArray[Any], spacing: Sequence[float]
) -> SurfaceDistances:
    """Measure one prediction against one reference.

    Args:
        pred: Shape [z, y, x] or [y, x], binary.
        ref: The same shape.
        spacing: mm between voxels, in the order of the axes.

    Raises:
        DataError: A mask is not binary, or the shapes differ.
        GeometryError: The spacing is missing, or not one positive number per axis.

    Example:
        >>> pred, ref = np.zeros((2, 4, 6), bool), np.zeros((2, 4, 6), bool)
        >>> pred[0, 1, 1] = ref[0, 1, 3] = True
        >>> round(surface_distances(pred, ref, spacing=(3.0, 0.5, 0.6)).asd, 6)
        1.2
    """
    return ReferenceSurface(ref, spacing).distances(pred)


def surface_points(mask: Mask, axes: Sequence[int] | None = None) -> IntArray:
    """Return the indices [n, d] of the surface voxels of ``mask``, in array order.

    Args:
        mask: Any number of axes.
        axes: The axes along which a voxel has neighbours; all, when left out.
    """
    box = bounding_box(mask)
    crop = mask[box]
    along = range(crop.ndim) if axes is None else axes
    core = tuple(slice(1, -1) if i in along else slice(None) for i in range(crop.ndim))
    inner = np.zeros_like(crop)
    inner[core] = crop[core]
    for axis in along:
        for side in (slice(None, -2), slice(2, None)):
            inner[core] &= crop[(*core[:axis], side, *core[axis + 1 :])]
    index = np.unravel_index(np.flatnonzero(crop & ~inner), crop.shape)
    return np.stack([i + part.start for i, part in zip(index, box, strict=True)], axis=1)


def bounding_box(mask: Mask) -> tuple[slice, ...]:
    """Return the smallest box that holds all true voxels; empty slices where there are none."""
    hit = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1))
    part = slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 0)
    if mask.ndim == 1:
        return (part,)
    shadow: Mask = np.asarray(mask[part].any(axis=0))
    return (part, *bounding_box(shadow))


def require_spacing(spacing: Sequence[float] | None, shape: Sequence[int]) -> tuple[float, ...]:
    """Return ``spacing`` as floats, refusing one that does not fit the axes.

    Raises:
        DataError: The array has neither 2 nor 3 axes.
        GeometryError: The spacing is missing, or not one positive number per axis.
    """
    if len(shape) not in (2, 3):
        raise DataError(f"a mask is [z, y, x] or [y, x], got shape {tuple(shape)}")
    axes = "(z, y, x)" if len(shape) == 3 else "(y, x)"
    if spacing is None:
        raise GeometryError(f"spacing {axes} in mm is missing; take it from the image header")
    values = tuple(float(value) for value in spacing)
    if len(values) != len(shape) or not all(0 < v < np.inf for v in values):
        raise GeometryError(
            f"spacing must be one positive number of mm per axis {axes}, got {values} "
            f"for shape {tuple(shape)}"
        )
    return values


def _mean(distances: FloatArray) -> float:
    return float(np.mean(distances))
