"""From the values a label file holds to classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import DataError
from camzoo.data.volume import Volume

#: Label of pixels that nothing is known of: nothing is learnt there.
UNKNOWN: Final = 255
#: Largest distance from a whole number that is rounding: half a step of eight bits up to label 4.
ROUNDING: Final = 0.01


def relabel(volume: Volume, classes: Mapping[int, int]) -> Volume:
    """Translate the values of a label volume.

    Args:
        volume: Label of any numeric type; 0 is background.
        classes: Value in the file -> class; a value that is legal but not wanted maps to 0.

    Returns:
        The same grid with uint8 classes.

    Raises:
        DataError: A voxel holds a value that is neither 0 nor a key of ``classes``.
    """
    whole = whole_numbers(volume.array)
    values, counts = np.unique(whole, return_counts=True)
    found = dict(zip(values.tolist(), counts.tolist(), strict=True))
    strange = [value for value in found if value != 0 and value not in classes]
    if strange:
        count = sum(found[value] for value in strange)
        raise DataError(
            f"case {volume.case}: {volume.source}: {count} voxels hold {_listed(strange)}, which "
            f"is no label value; expected {_ranges([0, *classes])}. Correct the label, or check "
            "that it belongs to this data set"
        )
    array = np.zeros(volume.shape, np.uint8)
    for value in found:
        array[whole == value] = classes.get(value, 0)
    return replace(volume, array=array)


def whole_numbers(array: NDArray[Any]) -> NDArray[Any]:
    """Take values that are whole numbers but for rounding as these numbers.

    A label of floating point that was written with NIfTI's scale factor is read as 0.9999999998 in
    the place of 1. Interpolated labels stay as they are: they hold values in between, too.
    """
    if array.dtype.kind != "f":
        return array
    nearest = np.rint(array)
    with np.errstate(invalid="ignore"):  # infinity is no whole number
        near = np.abs(array - nearest) <= ROUNDING
    # Without -0 among the values.
    return nearest + 0.0 if near.all() else np.where(near, nearest, array)


def shown(value: float) -> str:
    """Write a value with all its digits, so that 0.9999999998 does not look like 1."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _listed(values: list[float], most: int = 5) -> str:
    more = f" and {len(values) - most} more values" if len(values) > most else ""
    return ", ".join(shown(value) for value in values[:most]) + more


def _ranges(values: list[int]) -> str:
    """Write sorted integers as "0, 55-70, 110"."""
    runs: list[list[int]] = []
    for value in sorted(set(values)):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)
