"""A volume with the geometry it was acquired in.

Arrays are ordered (z, y, x). After :meth:`Volume.canonical` z grows towards the head, y towards the
back and x towards the patient's left, so that a slice shown with row 0 on top is the radiologist's
view: the front of the body up, the patient's right on the left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camzoo.errors import GeometryError

FloatArray = NDArray[np.floating[Any]]
#: World axes (RAS+ millimetres) that z, y and x of a canonical volume run along, and their sense.
_CANONICAL: tuple[tuple[int, int], ...] = ((2, 1), (1, -1), (0, -1))


@dataclass(frozen=True)
class Volume:
    """One scan or one label image.

    Attributes:
        array: Voxels, shape [z, y, x].
        affine: Shape [4, 4]: from the index (z, y, x, 1) to world millimetres in RAS+
            (x right, y anterior, z superior: nibabel's world).
        case: Name of the case, unique in its data set.
        patient: Name of the patient; several cases may share one.
        source: Where the voxels were read from, for messages.
    """

    array: NDArray[Any]
    affine: FloatArray
    case: str
    patient: str
    source: str = "memory"

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise GeometryError(
                f"{self.source}: case {self.case}: expected a volume with 3 axes (z, y, x), "
                f"got shape {self.array.shape}"
            )
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise GeometryError(
                f"{self.source}: case {self.case}: expected a finite 4 x 4 affine, "
                f"got {self.affine.tolist()}"
            )
        if min(self.spacing) <= 0:
            raise GeometryError(
                f"{self.source}: case {self.case}: voxel spacing must be positive, "
                f"got {self.spacing} mm"
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


def _nearest_axes(affine: FloatArray) -> list[int]:
    """For canonical z, y, x: the array axis whose direction lies nearest, each used once."""
    directions = np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    free, order = [0, 1, 2], []
    # The clearest axis is given away first, so that a 45 degree tie cannot take it from another.
    worlds = sorted(
        (world for world, _ in _CANONICAL), key=lambda world: -float(directions[world].max())
    )
    chosen: dict[int, int] = {}
    for world in worlds:
        axis = max(free, key=lambda a: (directions[world, a], -a))
        free.remove(axis)
        chosen[world] = axis
    order = [chosen[world] for world, _ in _CANONICAL]
    return order


def require_same_grid(image: Volume, label: Volume, tolerance: float = 1e-2) -> None:
    """Refuse a label that does not lie on the grid of its image.

    Args:
        image: The scan.
        label: The label image; both in the same orientation.
        tolerance: Largest allowed difference of any spacing, and of any corner relative to the
            smallest spacing; in mm for spacing, in voxels for position.

    Raises:
        GeometryError: Naming the case, both files and both values.
    """
    where = f"case {image.case}: image {image.source} and label {label.source}"
    if image.shape != label.shape:
        raise GeometryError(
            f"{where} differ in shape (z, y, x): {image.shape} and {label.shape}; "
            "export the label again on the grid of the image"
        )
    if not np.allclose(image.spacing, label.spacing, atol=tolerance, rtol=0):
        raise GeometryError(
            f"{where} differ in spacing (z, y, x) in mm: {_mm(image.spacing)} and "
            f"{_mm(label.spacing)}; correct the header that is wrong"
        )
    far = np.array([*(n - 1 for n in image.shape), 1.0])
    for name, index in (("first", np.array([0.0, 0.0, 0.0, 1.0])), ("last", far)):
        a, b = (image.affine @ index)[:3], (label.affine @ index)[:3]
        if np.abs(a - b).max() > max(tolerance, 0.1) * min(image.spacing):
            raise GeometryError(
                f"{where} differ in position: their {name} voxels lie at {_mm(a)} and {_mm(b)} mm "
                "(RAS); correct the affine or the origin that is wrong"
            )


def _mm(values: Any) -> tuple[float, ...]:
    return tuple(round(float(v), 3) for v in values)
