"""A predicted mask beside its reference, with all that metrics are made from."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import DataError
from camzoo.metrics.base import Needs
from camzoo.metrics.overlap import (
    Counts,
    as_mask,
    overlap_counts,
    require_same_shape,
    slice_counts,
)
from camzoo.metrics.slicewise import ReferenceSlices, SliceDistances
from camzoo.metrics.status import Status
from camzoo.metrics.surface import ReferenceSurface, SurfaceDistances


class MaskPair:
    """One organ of one case, whole or a region of it; every part is computed once, when asked for.

    Args:
        prediction: Shape [z, y, x], binary.
        reference: The mask to compare with, on the same grid.
        slices: The outlines of the same reference, where slices are to be measured by themselves.
        uncropped: Measures the region on the uncropped masks.

    Attributes:
        prediction: Shape [z, y, x], boolean, read-only.
        reference: Likewise.
        spacing: (z, y, x) in mm.

    Raises:
        DataError: The prediction is not binary or has another shape.

    Example:
        >>> mask = np.zeros((4, 8, 6), bool)
        >>> mask[1:3, 2:5, 2:4] = True
        >>> pair = MaskPair(np.roll(mask, 1, axis=2), ReferenceSurface(mask, (3.0, 0.5, 0.5)))
        >>> tuple(pair.counts), pair.voxel_mm3, pair.surface.hd
        ((6, 12, 12), 0.75, 0.5)
    """

    def __init__(
        self,
        prediction: NDArray[Any],
        reference: ReferenceSurface,
        *,
        slices: ReferenceSlices | None = None,
        uncropped: Callable[[], SurfaceDistances] | None = None,
    ) -> None:
        self.prediction = _read_only(as_mask(prediction, "prediction"))
        self.reference = _read_only(reference.mask)
        require_same_shape(self.prediction, self.reference)
        self.spacing = reference.spacing
        self._surface = reference
        self._slices = slices
        self._uncropped = uncropped

    @property
    def offers(self) -> frozenset[Needs]:
        """What metrics can be measured from it."""
        there = {Needs.SLICES: self._slices, Needs.UNCROPPED: self._uncropped}
        return frozenset({Needs.PAIR, *(need for need, part in there.items() if part is not None)})

    @cached_property
    def counts(self) -> Counts:
        """Voxels in both masks, in the prediction, and in the reference."""
        return overlap_counts(self.prediction, self.reference)

    @property
    def status(self) -> Status:
        """Whether a mask is empty."""
        return Status.of(self.counts.n_pred, self.counts.n_ref)

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing))

    @cached_property
    def surface(self) -> SurfaceDistances:
        """Distances between the surfaces, both ways."""
        return self._surface.distances(self.prediction)

    @cached_property
    def uncropped(self) -> SurfaceDistances:
        """Distances of the points of a region to the uncropped other surface.

        Raises:
            DataError: The pair is no region.
        """
        if self._uncropped is None:
            raise DataError("whole masks have no uncropped surfaces; needs = Needs.UNCROPPED")
        return self._uncropped()

    @cached_property
    def slices(self) -> SliceDistances:
        """Distances between the outlines of each slice.

        Raises:
            DataError: Slices are not measured by themselves here.
        """
        return self._outlines.distances(self.prediction)

    @cached_property
    def slice_counts(self) -> NDArray[np.int64]:
        """Voxels of each slice, shape [n, 3]: in both masks, in the prediction, in the reference.

        Raises:
            DataError: Slices are not measured by themselves here.
        """
        return slice_counts(self.prediction, self.reference, self._outlines.axis)

    @property
    def _outlines(self) -> ReferenceSlices:
        if self._slices is None:
            raise DataError("slices are not measured by themselves here; needs = Needs.SLICES")
        return self._slices


def _read_only(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The same voxels, which no metric can change under the feet of the next."""
    view = mask.view()
    view.flags.writeable = False
    return view
