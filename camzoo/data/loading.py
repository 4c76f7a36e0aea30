"""One door through which every case of every data set enters, and the checks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from camzoo.core.errors import DataError
from camzoo.data.datasets.base import Case, Dataset
from camzoo.data.notes import Note
from camzoo.data.volume import Volume, field_of_view_notes, on_grid_of

#: Far beyond any scanner, far below where sums of squares leave single precision.
_MOST_GREY: Final = 1e12


@dataclass(frozen=True)
class LoadedCase:
    """A scan and its label on the same grid, both canonical.

    Attributes:
        image: Finite, not constant, at least two voxels along every axis.
        label: Integer classes 0..C.
        notes: What stands out in the two files.
    """

    image: Volume
    label: Volume
    notes: tuple[Note, ...] = ()


def load_case(dataset: Dataset, case: Case) -> LoadedCase:
    """Read a case and make sure that it can be used.

    Raises:
        DataError: The image or the label cannot be read; the image holds NaN, infinity or values
            beyond any scanner's, is constant, or is a single slice; the label holds a class the
            data set has not.
        GeometryError: The label does not lie on the grid of the image.
    """
    image = dataset.image(case)
    _require_usable(image)
    label = on_grid_of(image, dataset.label(case))
    _require_classes(label, dataset.organs)
    notes = (*field_of_view_notes(image), *image.notes, *label.notes)
    return LoadedCase(image, label, tuple(dict.fromkeys(notes)))


def _require_usable(image: Volume) -> None:
    where = f"case {image.case}: {image.source}"
    if min(image.shape) < 2:
        raise DataError(
            f"{where}: expected a volume with at least 2 voxels along (z, y, x), got "
            f"{image.shape}; single slices are no volumes"
        )
    wrong = int(image.array.size - np.isfinite(image.array).sum())
    if wrong:
        raise DataError(
            f"{where}: {wrong} voxels are NaN or infinite; export the scan again or take the case "
            "away"
        )
    low, high = image.array.min(), image.array.max()
    if max(-float(low), float(high)) > _MOST_GREY:
        raise DataError(
            f"{where}: grey values from {low:g} to {high:g}, expected at most {_MOST_GREY:g}; "
            "export the scan again"
        )
    if low == high:
        raise DataError(
            f"{where}: every voxel is {low}; the scan is empty: export it again or take the case "
            "away"
        )


def _require_classes(label: Volume, organs: tuple[str, ...]) -> None:
    where = f"case {label.case}: {label.source}"
    if label.array.dtype.kind not in "iu":
        raise DataError(f"{where}: expected integer classes, got type {label.array.dtype}")
    low, high = int(label.array.min()), int(label.array.max())
    if low < 0 or high > len(organs):
        raise DataError(
            f"{where}: expected classes 0 to {len(organs)} ({', '.join(organs)}), got values from "
            f"{low} to {high}"
        )
