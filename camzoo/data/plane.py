"""The plane in which a scan is cut into slices, and the way back to its volume.

Volumes are canonical (:mod:`camzoo.data.volume`): z grows towards the head, y towards the back, x
towards the patient's left. Slices show them as radiologists look at them:

- axial: rows run to the back, columns to the left, slices follow each other to the head;
- coronal: rows run to the feet, columns to the left, slices follow each other to the back;
- sagittal: rows run to the feet, columns to the back, slices follow each other to the right.

Columns, rows and slices are right-handed in all three, so no plane shows the mirror image of
another. Short-axis slices of the heart lie between sagittal and coronal, and which is nearer
differs from patient to patient. Their columns run to the left and to the back at once, so that
hearts look alike on both sides of the border, and slices follow each other from the apex to the
base.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from camzoo.core.choices import SliceChoice
from camzoo.data.volume import FloatArray

T = TypeVar("T")
#: The thick axis is clear where its spacing is at least this many times the next largest. Above it,
#: slices across another plane are visibly stretched strips; scans acquired in three dimensions,
#: which are meant to be cut in any plane, stay below it (1 x 1 x 1.25 mm of a typical head).
CLEAR_RATIO: Final = 1.5
#: Spacings come from headers of single precision: ratios that differ by less are the same.
_RATIO_TOLERANCE: Final = 1e-3
#: Slices whose directions are further apart than this, in degrees, show the body from another side:
#: half of the way from one plane of the body to another. Within it lie the tilts of pelves (36
#: degrees between two prostates of PROMISE12) and hearts.
APART_DEGREES: Final = 45.0
#: Share of left to right in the direction of the columns (30 degrees out of the sagittal plane)
#: from which mirroring a slice exchanges the sides of the body.
_SIDED_SHARE: Final = 0.5


class Plane(StrEnum):
    """A plane of slices, by the plane of the body that it is nearest to."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    @property
    def order(self) -> tuple[int, int, int]:
        """Axes of the volume (0 = z, 1 = y, 2 = x) that slices, rows and columns run along."""
        return _ORDER[self]

    @property
    def axis(self) -> int:
        """Axis of the volume that the slices follow each other along."""
        return self.order[0]

    def arrange(self, by_axis: Sequence[T]) -> tuple[T, T, T]:
        """Bring what belongs to (z, y, x) into the order (slices, rows, columns)."""
        slices, rows, columns = self.order
        return by_axis[slices], by_axis[rows], by_axis[columns]

    def cut(self, volume: NDArray[Any]) -> NDArray[Any]:
        """View a canonical volume [..., z, y, x] as its slices [..., slices, rows, columns]."""
        leading = tuple(range(volume.ndim - 3))
        turned: NDArray[Any] = np.flip(volume, self._reversed)
        return turned.transpose(*leading, *(len(leading) + axis for axis in self.order))

    def restore(self, slices: NDArray[Any]) -> NDArray[Any]:
        """View slices [..., slices, rows, columns] as their volume: the inverse of :meth:`cut`."""
        leading = tuple(range(slices.ndim - 3))
        back = (len(leading) + self.order.index(axis) for axis in range(3))
        volume: NDArray[Any] = np.flip(slices.transpose(*leading, *back), self._reversed)
        return volume

    @property
    def _reversed(self) -> tuple[int, ...]:
        """Axes of a volume that slices show from their end, counted from the last axis."""
        return tuple(axis - 3 for axis in _REVERSED[self])


_ORDER: Final[Mapping[Plane, tuple[int, int, int]]] = {
    Plane.AXIAL: (0, 1, 2),
    Plane.CORONAL: (1, 0, 2),
    Plane.SAGITTAL: (2, 0, 1),
}
#: Axes of the volume that slices show from their end.
_REVERSED: Final[Mapping[Plane, tuple[int, ...]]] = {
    Plane.AXIAL: (),
    Plane.CORONAL: (0,),
    Plane.SAGITTAL: (0, 2),
}


def thick_axis(spacing: Sequence[float]) -> int | None:
    """Return the axis with the clearly largest of three spacings, None where there is none.

    Example:
        >>> thick_axis((1.25, 1.25, 8.0)), thick_axis((1.0, 1.0, 1.25)), thick_axis((1.0, 4.0, 4.0))
        (2, None, None)
    """
    _, middle, largest = sorted(spacing)
    clear = largest >= CLEAR_RATIO * middle * (1 - _RATIO_TOLERANCE)
    return int(np.argmax(spacing)) if clear else None


@dataclass(frozen=True)
class SliceStack:
    """How the slices of one scan lie.

    Attributes:
        plane: The plane of the body that they are nearest to.
        thick: Whether they lie across a clear thick axis of the scan.
        step_mm: From slice to slice.
        normal: Unit vector from slice to slice: shares of right, anterior and superior.
        columns: Unit vector along the columns, likewise.
    """

    plane: Plane
    thick: bool
    step_mm: float
    normal: tuple[float, float, float]
    columns: tuple[float, float, float]

    @property
    def mirror_exchanges_sides(self) -> bool:
        """Whether a slice mirrored along its columns shows the left of the body on the right.

        In sagittal slices it exchanges front and back instead.
        """
        return abs(self.columns[0]) > _SIDED_SHARE


def choose_plane(spacing: Sequence[float], choice: SliceChoice) -> Plane:
    """Return the plane of slices of a canonical volume with this spacing (z, y, x)."""
    axis = thick_axis(spacing) if choice is SliceChoice.ACQUIRED else None
    return next((plane for plane in Plane if plane.axis == axis), Plane.AXIAL)


def slice_stack(affine: FloatArray, plane: Plane) -> SliceStack:
    """Describe the slices of a canonical volume.

    Args:
        affine: Shape [4, 4], from the index (z, y, x, 1) to mm in RAS+.
        plane: Plane of the slices.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    senses = [-1 if axis in _REVERSED[plane] else 1 for axis in range(3)]
    directions = affine[:3, :3] / spacing * senses
    normal, _, columns = (_triple(directions[:, axis]) for axis in plane.order)
    return SliceStack(
        plane=plane,
        thick=thick_axis(spacing.tolist()) == plane.axis,
        step_mm=float(spacing[plane.axis]),
        normal=normal,
        columns=columns,
    )


def describe_slices(stacks: Sequence[SliceStack], choice: SliceChoice) -> str:
    """Say in which plane the scans of a data set are cut, and how thick their slices are.

    Example:
        >>> affine = np.array([[0, 0, -8.0, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
        >>> stack = slice_stack(affine, Plane.SAGITTAL)
        >>> describe_slices([stack, stack], SliceChoice.ACQUIRED)
        'acquired plane (sagittal, 8 mm)'
    """
    if choice is SliceChoice.AXIAL:
        return f"axial, as set ({_steps(stacks)})"
    thick = [stack for stack in stacks if stack.thick]
    rest = [stack for stack in stacks if not stack.thick]
    why = f"no axis is {CLEAR_RATIO:g} times as thick as the others"
    if not thick:
        return f"axial ({_steps(rest)}; {why})"
    text = f"acquired plane ({_names(thick)}, {_steps(thick)})"
    return f"{text}; axial in {_count(rest)}, where {why}" if rest else text


def mixed_planes(stacks: Mapping[str, SliceStack]) -> str | None:
    """Warn where slices of one data set show the body from different sides.

    Args:
        stacks: Stack of each case.

    Returns:
        None where all slices lie within :data:`APART_DEGREES` of each other.
    """
    if not stacks:
        return None
    normals = np.array([stack.normal for stack in stacks.values()])
    cosines = np.abs(normals @ normals.T)
    first, second = np.unravel_index(int(cosines.argmin()), cosines.shape)
    apart = float(np.degrees(np.arccos(np.clip(cosines[first, second], 0, 1))))
    if apart <= APART_DEGREES:
        return None
    cases = list(stacks)
    return (
        f"cases are cut in different planes ({_names(list(stacks.values()))}), up to {apart:.0f} "
        f"degrees apart ({cases[first]} and {cases[second]}): one classifier learns views from "
        "different sides, where headers are right; slices=axial would cut all cases along the axes "
        "of the body"
    )


def _names(stacks: Sequence[SliceStack]) -> str:
    counts = Counter(stack.plane for stack in stacks)
    if len(counts) == 1:
        return next(iter(counts)).value
    return ", ".join(f"{plane.value} in {counts[plane]}" for plane in Plane if plane in counts)


def _count(stacks: Sequence[SliceStack]) -> str:
    return f"{len(stacks)} case{'s' if len(stacks) > 1 else ''}"


def _steps(stacks: Sequence[SliceStack]) -> str:
    texts = [f"{mm:.3g}" for mm in sorted({round(stack.step_mm, 2) for stack in stacks})]
    return f"{texts[0]} mm" if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]} mm"


def _triple(vector: FloatArray) -> tuple[float, float, float]:
    right, anterior, superior = vector.tolist()
    return right, anterior, superior
