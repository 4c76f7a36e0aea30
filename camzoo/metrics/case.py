"""All numbers of one organ of one case, as columns of result rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camzoo.metrics.definitions import stored_metrics
from camzoo.metrics.mask_pair import MaskPair
from camzoo.metrics.overlap import as_mask
from camzoo.metrics.slicewise import ReferenceSlices
from camzoo.metrics.status import Status
from camzoo.metrics.subregions import WHOLE, crop
from camzoo.metrics.surface import ReferenceSurface

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
        self._metrics = stored_metrics()
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
            DataError: The prediction is not binary or has another shape, or a metric failed.
        """
        mask = as_mask(pred, "prediction")
        whole = self._row(MaskPair(mask, self._whole, slices=self._slices), self._whole, WHOLE)
        return [whole, *(self._measure_region(name, mask) for name in self._regions)]

    def missing(self) -> list[Record]:
        """Return the same rows for a prediction that does not exist: what failures count as."""
        surfaces = {WHOLE: self._whole} | {n: r.surface for n, r in self._regions.items()}
        rows = [
            _place(surface, name)
            | {"n_ref": int(np.count_nonzero(surface.mask)), "status": Status.MISSING.value}
            for name, surface in surfaces.items()
        ]
        if self._slices is not None:
            rows[0] |= self._slices.extent
        return rows

    def _measure_region(self, name: str, mask: NDArray[np.bool_]) -> Record:
        region = self._regions[name]
        uncropped = partial(self._whole.distances, mask, within=region.slices)
        pair = MaskPair(crop(mask, region.slices), region.surface, uncropped=uncropped)
        return self._row(pair, region.surface, name)

    def _row(self, pair: MaskPair, reference: ReferenceSurface, region: str) -> Record:
        row = {
            **_place(reference, region),
            **pair.counts._asdict(),
            **{m.name: m.value_of(pair) for m in self._metrics if m.needs in pair.offers},
            "status": pair.status.value,
        }
        if self._slices is not None and region == WHOLE:
            _, n_pred, n_ref = pair.slice_counts.T
            row |= {"slices": pair.slices.n, "slices_failed": pair.slices.n_failed}
            row |= self._slices.extent | {"n_pred_there": int(n_pred[n_ref > 0].sum())}
        return row


@dataclass(frozen=True)
class _Region:
    slices: slice
    surface: ReferenceSurface


def _place(reference: ReferenceSurface, region: str) -> Record:
    """Columns that hold whatever the prediction is."""
    spacing = dict(zip(("spacing_z", "spacing_y", "spacing_x"), reference.spacing, strict=True))
    return {"region": region, "diagonal_mm": reference.diagonal_mm, **spacing}
