"""All numbers of one organ of one case, as columns of result rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camzoo.metrics.definitions import NSD_TOLERANCE_MM
from camzoo.metrics.overlap import as_mask, dice, overlap_counts, slice_counts
from camzoo.metrics.slicewise import ReferenceSlices
from camzoo.metrics.status import Status
from camzoo.metrics.subregions import WHOLE, crop
from camzoo.metrics.surface import ReferenceSurface, SurfaceDistances

Record = dict[str, Any]


class CaseReference:
    """The reference of one organ in one case, prepared once for all methods and thresholds.

    Args:
        mask: Shape [z, y, x], binary.
        spacing: (z, y, x) in mm.
        regions: Slices of the first axis to score by themselves besides the whole
            (:func:`camzoo.metrics.subregions.thirds`).
        slicewise: Whether to measure every slice by itself too.
        slice_axis: Along which the slices follow each other.

    Raises:
        DataError: The mask is not binary or not a volume.
        GeometryError: The spacing does not fit.

    Example:
        >>> mask = np.zeros((4, 8, 6), bool)
        >>> mask[1:3, 2:5, 2:4] = True
        >>> rows = CaseReference(mask, spacing=(3.0, 0.5, 0.5)).measure(mask)
        >>> rows[0]["region"], rows[0]["dsc"], rows[0]["asd_mm"], str(rows[0]["status"])
        ('whole', 1.0, 0.0, 'ok')
    """

    def __init__(
        self,
        mask: NDArray[Any],
        spacing: Sequence[float],
        *,
        regions: Mapping[str, slice] | None = None,
        slicewise: bool = False,
        slice_axis: int = 0,
    ) -> None:
        self._slice_axis = slice_axis
        self._whole = ReferenceSurface(mask, spacing)
        self._slices = ReferenceSlices(mask, spacing, slice_axis) if slicewise else None
        self._regions = {
            name: _Region(part, ReferenceSurface(crop(self._whole.mask, part), spacing))
            for name, part in (regions or {}).items()
        }

    def measure(self, pred: NDArray[Any]) -> list[Record]:
        """Return one partial result row for the whole, then one per region.

        Args:
            pred: Shape [z, y, x], binary.

        Raises:
            DataError: The prediction is not binary or has another shape.
        """
        mask = as_mask(pred, "prediction")
        whole = _measure(mask, self._whole, WHOLE)
        if self._slices is not None:
            whole |= _slice_columns(self._slices, mask, self._slice_axis)
        return [whole, *(self._measure_region(name, mask) for name in self._regions)]

    def missing(self) -> list[Record]:
        """Return the same rows for a prediction that does not exist: what failures count as."""
        surfaces = {WHOLE: self._whole} | {n: r.surface for n, r in self._regions.items()}
        return [
            _place(surface, name)
            | {"n_ref": int(np.count_nonzero(surface.mask)), "status": Status.MISSING.value}
            for name, surface in surfaces.items()
        ]

    def _measure_region(self, name: str, mask: NDArray[np.bool_]) -> Record:
        region = self._regions[name]
        full = self._whole.distances(mask, within=region.slices)
        row = _measure(crop(mask, region.slices), region.surface, name)
        return row | {"asd_full_mm": full.asd, "mad_full_mm": full.mad}


@dataclass(frozen=True)
class _Region:
    slices: slice
    surface: ReferenceSurface


def _measure(mask: NDArray[np.bool_], reference: ReferenceSurface, region: str) -> Record:
    counts = overlap_counts(mask, reference.mask)
    distances = reference.distances(mask)
    return {
        **_place(reference, region),
        **counts._asdict(),
        "dsc": float(dice(*counts)),
        **_surface_columns(distances),
        "status": distances.status.value,
    }


def _place(reference: ReferenceSurface, region: str) -> Record:
    """Columns that hold whatever the prediction is."""
    spacing = dict(zip(("spacing_z", "spacing_y", "spacing_x"), reference.spacing, strict=True))
    return {"region": region, "diagonal_mm": reference.diagonal_mm, **spacing}


def _surface_columns(distances: SurfaceDistances) -> Record:
    return {
        "asd_mm": distances.asd,
        "mad_mm": distances.mad,
        "mad_reverse_mm": distances.mad_reverse,
        "assd_mm": distances.assd,
        "hd_mm": distances.hd,
        "hd95_mm": distances.hd95,
        "nsd_2mm": distances.nsd(NSD_TOLERANCE_MM),
    }


def _slice_columns(reference: ReferenceSlices, mask: NDArray[np.bool_], axis: int) -> Record:
    slices = reference.distances(mask)
    tp, n_pred, n_ref = slice_counts(mask, reference.mask, axis).T
    either = n_pred + n_ref > 0
    means = {"asd_2d_mm": slices.asd, "mad_2d_mm": slices.mad, "hd95_2d_mm": slices.hd95}
    return {
        **{
            name: float(np.nanmean(values)) if slices.n else np.nan
            for name, values in means.items()
        },
        "dsc_2d": float(np.mean(dice(tp, n_pred, n_ref), where=either)) if either.any() else 1.0,
        "slices": slices.n,
        "slices_failed": slices.n_failed,
    }
