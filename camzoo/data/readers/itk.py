"""Files behind SimpleITK, which is imported when one is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import DataError
from camzoo.data.disk import require_file
from camzoo.data.readers.base import Voxels, unreadable
from camzoo.data.readers.stderr import captured_stderr
from camzoo.data.volume import FloatArray

#: ITK's world has x to the left and y to the back, nibabel's to the right and to the front.
LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
#: Largest difference of a direction's length from 1.
_UNIT_TOLERANCE: Final = 1e-2


class ItkFile:
    """One file behind ITK: its header is read at once, its voxels on request.

    Args:
        path: The file.
        kind: Name of the format in messages.
        image_io: ITK's name of the reader to use.

    Raises:
        DataError: ITK cannot make sense of the file.
    """

    def __init__(self, path: Path, kind: str, image_io: str) -> None:
        self.path = path
        self._kind = kind
        self._itk: Any = import_module("SimpleITK")
        self._reader = self._itk.ImageFileReader()
        self._reader.SetImageIO(image_io)
        require_file(path)
        self._reader.SetFileName(str(path))
        self._guarded(self._reader.ReadImageInformation)

    @property
    def size(self) -> tuple[int, ...]:
        """Voxels along (x, y, ...)."""
        return tuple(self._reader.GetSize())

    @property
    def channels(self) -> int:
        """Numbers per voxel."""
        return int(self._reader.GetNumberOfComponents())

    @property
    def affine(self) -> FloatArray:
        """Index (z, y, x, 1) to RAS mm, [4, 4]; what follows a third axis has no place in space.

        Raises:
            DataError: The file has fewer than three axes, or its directions are no unit vectors.
        """
        axes = len(self.size)
        if axes < 3:
            raise DataError(f"{self.path}: expected a volume with 3 axes, got size {self.size}")
        directions = np.reshape(self._reader.GetDirection(), (axes, axes))[:3, :3]
        with np.errstate(over="ignore"):
            lengths = np.linalg.norm(directions, axis=0)
        if not np.allclose(lengths, 1, rtol=0, atol=_UNIT_TOLERANCE):
            raise DataError(
                f"{self.path}: the directions of the axes are no unit vectors: they have the "
                f"lengths {', '.join(f'{length:g}' for length in lengths)}; write the file again"
            )
        affine = np.eye(4)
        affine[:3, :3] = directions * np.array(self._reader.GetSpacing()[:3])
        affine[:3, 3] = self._reader.GetOrigin()[:3]
        ras: FloatArray = LPS_TO_RAS @ affine[:, [2, 1, 0, 3]]
        return ras

    def tag(self, key: str) -> str:
        """Return the text of a DICOM tag ("gggg|eeee"), empty where it is absent."""
        return str(self._reader.GetMetaData(key)) if self._reader.HasMetaDataKey(key) else ""

    def array(self) -> NDArray[Any]:
        """Read the voxels, axes reversed: [..., y, x]; several numbers per voxel lead.

        Raises:
            DataError: ITK cannot read them.
        """
        image = self._guarded(self._reader.Execute)
        array: NDArray[Any] = self._itk.GetArrayFromImage(image)
        return array if self.channels == 1 else np.moveaxis(array, -1, 0)

    def _guarded(self, call: Callable[[], Any]) -> Any:
        with captured_stderr() as said:
            try:
                return call()
            except RuntimeError as error:
                reason = said() or str(error).strip().splitlines()[-1].strip()
                raise unreadable(self.path, self._kind, reason) from error


def read_itk(
    path: Path, kind: str, image_io: str, *, stated: int, known: NDArray[Any] | None, unit_mm: float
) -> Voxels:
    """Read a volume, or several on one grid.

    Args:
        path: The file.
        kind: Name of the format in messages.
        image_io: ITK's name of the reader to use.
        stated: Numbers that the header states, which its files were found to have room for.
        known: The voxels, where they were read already, axes reversed.
        unit_mm: Unit of the header's lengths in mm, which ITK does not ask for.

    Raises:
        DataError: ITK cannot read it, reads another size, or it has fewer than three axes.
    """
    file = ItkFile(path, kind, image_io)
    if (numbers := math.prod(file.size) * file.channels) != stated:
        raise DataError(
            f"{path}: the header states {stated} numbers, and ITK reads {numbers} out of it, as "
            f"{file.size} with {file.channels} channels; write the file again"
        )
    affine = file.affine
    affine[:3] *= unit_mm
    # ITK sets axes of channels apart from those of space: such voxels are left to it.
    plain = known is not None and file.channels == 1 and known.shape == file.size[::-1]
    return Voxels(known if known is not None and plain else file.array(), affine)
