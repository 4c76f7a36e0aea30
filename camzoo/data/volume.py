"""A volume with the geometry it was acquired in.

Arrays are ordered (z, y, x). After :meth:`Volume.canonical` z grows towards the head, y towards the
back and x towards the patient's left, so that a slice shown with row 0 on top is the radiologist's
view: the front of the body up, the patient's right on the left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import GeometryError
from camzoo.data.notes import Note

FloatArray = NDArray[np.floating[Any]]
#: World axes (RAS+ millimetres) that z, y and x of a canonical volume run along, and their sense.
_CANONICAL: Final = ((2, 1), (1, -1), (0, -1))
#: Headers are written with a few digits: spacings that differ by less are the same.
SPACING_TOLERANCE_MM: Final = 0.01
#: Voxels that lie nearer to each other than this share of the smallest spacing are the same.
POSITION_TOLERANCE_VOXELS: Final = 0.1
#: Largest cosine between two axes that count as perpendicular: distances, which are measured on a
#: rectangular grid, are then at most 0.25 % off.
_COSINE_TOLERANCE: Final = 5e-3
#: Spacings of anything that a scanner or a microscope sees, whatever the unit.
SPACINGS_MM: Final = (1e-6, 1e6)
#: No scanner is as large; coordinates below this keep their precision.
_FARTHEST_MM: Final = 1e9
#: Longest side that the field of view of a scan may have, in mm: a fingertip to a whole body.
_SIDE_MM: Final = (10.0, 2500.0)
#: Voxels of patients are coarser than this; finer ones are those of lengths in cm.
_FINEST_MM: Final = 0.2


@dataclass(frozen=True, eq=False)
class Volume:
    """One scan or one label image.

    Attributes:
        array: Voxels, shape [z, y, x].
        affine: Shape [4, 4]: from the index (z, y, x, 1) to world millimetres in RAS+
            (x right, y anterior, z superior: nibabel's world).
        case: Name of the case, unique in its data set.
        patient: Name of the patient; several cases may share one.
        source: Where the voxels were read from, for messages.
        notes: What stood out on reading.
    """

    array: NDArray[Any]
    affine: FloatArray
    case: str
    patient: str
    source: str = "memory"
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise GeometryError(
                f"{self.source}: case {self.case}: expected a volume with 3 axes (z, y, x), "
                f"got shape {self.array.shape}"
            )
        within = self.affine.shape == (4, 4) and np.abs(self.affine).max() < _FARTHEST_MM
        if not within:  # NaN is not
            raise GeometryError(
                f"{self.source}: case {self.case}: expected a finite 4 x 4 affine, "
                f"got {self.affine.tolist()}"
            )
        if not self.array.size:
            raise GeometryError(
                f"{self.source}: case {self.case}: the volume has no voxels, its shape is "
                f"{self.array.shape} (z, y, x)"
            )
        self._require_right_angles()

    def _require_right_angles(self) -> None:
        """Refuse axes that span no rectangular grid: distances are measured on one."""
        axes = self.affine[:3, :3]
        lengths = np.linalg.norm(axes, axis=0)
        cosines = np.zeros((3, 3))
        if lengths.min() >= SPACINGS_MM[0]:
            cosines = np.abs((axes / lengths).T @ (axes / lengths))
        independent = abs(np.linalg.det(axes)) > 1e-3 * np.prod(lengths)
        if lengths.min() < SPACINGS_MM[0] or not independent:
            raise GeometryError(
                f"{self.source}: case {self.case}: the axes of the affine must be independent and "
                f"the spacing positive, got {axes.tolist()}"
            )
        worst = float(np.triu(cosines, 1).max())
        if worst > _COSINE_TOLERANCE:
            raise GeometryError(
                f"{self.source}: case {self.case}: the axes are not at right angles: two of them "
                f"meet at {np.degrees(np.arccos(worst)):.1f} degrees; resample the volume to a "
                "rectangular grid"
            )

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel spacing (z, y, x) in mm, from the affine."""
        z, y, x = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        z, y, x = self.array.shape
        return z, y, x

    def canonical(self) -> Volume:
        """Return the volume with its axes permuted and flipped to the canonical orientation.

        Voxels are never resampled: an oblique acquisition keeps its obliquity and is brought to the
        nearest canonical axes.
        """
        array, affine = self.array, self.affine.copy()
        order = _nearest_axes(affine)
        array = array.transpose(order)
        affine = affine[:, [*order, 3]]
        for axis, (world, sense) in enumerate(_CANONICAL):
            if affine[world, axis] * sense < 0:
                array = np.flip(array, axis)
                affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
                affine[:, axis] *= -1
        return replace(self, array=np.ascontiguousarray(array), affine=affine)


def field_of_view_notes(volume: Volume) -> tuple[Note, ...]:
    """Say where a volume is too small or too large for a patient: lengths in another unit."""
    sides = np.multiply(volume.shape, volume.spacing)
    low, high = _SIDE_MM
    if low <= sides.max() <= high and min(volume.spacing) >= _FINEST_MM:
        return ()
    what = "the field of view is no patient's, check that the header's lengths are mm"
    size, voxel = (" x ".join(f"{mm:.3g}" for mm in v) for v in (sides, volume.spacing))
    return (Note(what, f"{size} mm in voxels of {voxel} mm (z, y, x)"),)


def _nearest_axes(affine: FloatArray) -> list[int]:
    """For canonical z, y, x: the array axis whose direction lies nearest, each used once.

    The clearest world axis chooses first, so that a tie at 45 degrees cannot take an axis from it:
    the rule of nibabel's ``io_orientation``.
    """
    directions = np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    worlds = [world for world, _ in _CANONICAL]
    free = {0, 1, 2}
    chosen: dict[int, int] = {}
    for world in sorted(worlds, key=lambda world: -float(directions[world].max())):
        chosen[world] = max(free, key=lambda axis: (directions[world, axis], -axis))
        free.remove(chosen[world])
    return [chosen[world] for world in worlds]


def require_same_grid(image: Volume, label: Volume) -> None:
    """Refuse a label that does not lie on the grid of its image.

    Args:
        image: The scan.
        label: The label image; both in the same orientation.

    Raises:
        GeometryError: Shape, spacing (beyond :data:`SPACING_TOLERANCE_MM`) or position of a corner
            (beyond :data:`POSITION_TOLERANCE_VOXELS`) differ; names the case, both files and both
            values.
    """
    where = _where(image, label)
    if image.shape != label.shape:
        raise GeometryError(
            f"{where} differ in shape (z, y, x): {image.shape} and {label.shape}; "
            "export the label again on the grid of the image"
        )
    if not np.allclose(image.spacing, label.spacing, atol=SPACING_TOLERANCE_MM, rtol=0):
        raise GeometryError(
            f"{where} differ in spacing (z, y, x) in mm: {_mm(image.spacing)} and "
            f"{_mm(label.spacing)}; correct the header that is wrong"
        )
    # Positions are linear in the index: no voxel is further apart than the worst of the corners.
    corners = _corners(image.shape)
    a, b = (image.affine @ corners)[:3], (label.affine @ corners)[:3]
    apart = np.linalg.norm(a - b, axis=0)
    worst = int(apart.argmax())
    if apart[worst] > POSITION_TOLERANCE_VOXELS * min(image.spacing):
        raise GeometryError(
            f"{where} differ in position: voxel (z, y, x) {_index(corners[:3, worst])} lies at "
            f"{_mm(a[:, worst])} and {_mm(b[:, worst])} mm (RAS); "
            "correct the affine or the origin that is wrong"
        )


def on_grid_of(image: Volume, label: Volume) -> Volume:
    """Bring a label to the grid of its image.

    A label of another extent is placed by its header, where that puts its voxels on voxels of the
    image: what it does not cover is background (NCI-ISBI 2013 ships a label with 23 slices for a
    scan with 34, ProstateDx-01-0055).

    Args:
        image: The scan.
        label: The label image; both in the same orientation.

    Returns:
        The label with the shape of the image; a placed one carries a note.

    Raises:
        GeometryError: As :func:`require_same_grid`, or the headers do not say where a label of
            another shape belongs, or what it marks lies outside the image.
    """
    if image.shape == label.shape:
        require_same_grid(image, label)
        return label
    start = _place(image, label)
    where = _where(image, label)
    ours = tuple(
        slice(max(s, 0), min(s + n, m))
        for s, n, m in zip(start, label.shape, image.shape, strict=True)
    )
    theirs = tuple(slice(o.start - s, o.stop - s) for o, s in zip(ours, start, strict=True))
    array = np.zeros(image.shape, label.array.dtype)
    array[ours] = label.array[theirs]
    lost = np.count_nonzero(label.array) - np.count_nonzero(array)
    if lost:
        raise GeometryError(
            f"{where} differ in shape (z, y, x): {image.shape} and {label.shape}, and {lost} "
            "labelled voxels lie outside the image; export the label again on the grid of the image"
        )
    what = "the label has another extent than its image and was placed by its header"
    note = Note(what, f"{label.shape} at {tuple(start)} of {image.shape} voxels (z, y, x)")
    return replace(label, array=array, affine=image.affine, notes=(*label.notes, note))


def _place(image: Volume, label: Volume) -> tuple[int, ...]:
    """Index in the image of the label's first voxel: one of the two grids lies in the other."""
    to_image = np.linalg.solve(image.affine, label.affine)
    corners = _corners(label.shape)
    start = np.rint(to_image[:3, 3])
    apart = np.abs((to_image @ corners - corners)[:3] - start[:, None]).max()
    room = np.subtract(image.shape, label.shape)
    inside = ((start >= 0) & (start <= room)).all()
    around = ((start <= 0) & (start >= room)).all()
    if apart > POSITION_TOLERANCE_VOXELS or not (inside or around):
        raise GeometryError(
            f"{_where(image, label)} differ in shape (z, y, x): {image.shape} and {label.shape}, "
            "and by their headers neither lies on voxels of the other; export the label again on "
            "the grid of the image"
        )
    return tuple(int(index) for index in start)


def _corners(shape: tuple[int, int, int]) -> FloatArray:
    """Indices (z, y, x, 1) of the corners of a volume, one a column."""
    return np.array([(*c, 1) for c in product(*((0, n - 1) for n in shape))], float).T


def _where(image: Volume, label: Volume) -> str:
    return f"case {image.case}: image {image.source} and label {label.source}"


def _index(values: FloatArray) -> tuple[int, ...]:
    return tuple(int(v) for v in values)


def _mm(values: Any) -> tuple[float, ...]:
    return tuple(round(float(v), 3) for v in values)
