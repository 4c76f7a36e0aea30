"""MetaImage, NRRD and PNG through SimpleITK, which is imported when such a file is read."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from camzoo.data.readers.base import Voxels, unreadable
from camzoo.data.readers.stderr import captured_stderr
from camzoo.data.volume import FloatArray
from camzoo.errors import DataError

#: ITK's world has x to the left and y to the back, nibabel's to the right and to the front.
LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
#: A text header of MetaImage or NRRD is looked for in this much of a file.
_HEADER_BYTES: Final = 65536


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
        self._reader.SetFileName(str(path))
        self._guarded(self._reader.ReadImageInformation)

    @property
    def size(self) -> tuple[int, ...]:
        """Voxels along (x, y, ...)."""
        return tuple(self._reader.GetSize())

    @property
    def affine(self) -> FloatArray:
        """Index (z, y, x, 1) to RAS mm, [4, 4], of a file with three axes."""
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(self._reader.GetDirection(), (3, 3))
        affine[:3, :3] *= np.array(self._reader.GetSpacing())
        affine[:3, 3] = self._reader.GetOrigin()
        ras: FloatArray = LPS_TO_RAS @ affine[:, [2, 1, 0, 3]]
        return ras

    def tag(self, key: str) -> str:
        """Return the text of a DICOM tag ("gggg|eeee"), empty where it is absent."""
        return str(self._reader.GetMetaData(key)) if self._reader.HasMetaDataKey(key) else ""

    def array(self) -> NDArray[Any]:
        """Read the voxels, axes reversed: [..., y, x].

        Raises:
            DataError: The file is truncated, or a voxel holds more than one number.
        """
        if self._reader.GetNumberOfComponents() != 1:
            raise DataError(
                f"{self.path}: expected one grey value per voxel, got "
                f"{self._reader.GetNumberOfComponents()} values (colours or vectors)"
            )
        image = self._guarded(self._reader.Execute)
        array: NDArray[Any] = self._itk.GetArrayFromImage(image)
        return array

    def _guarded(self, call: Callable[[], Any]) -> Any:
        with captured_stderr() as said:
            try:
                return call()
            except RuntimeError as error:
                reason = said() or str(error).strip().splitlines()[-1].strip()
                raise unreadable(self.path, self._kind, reason) from error


def read_metaimage(path: Path) -> Voxels:
    """Read ``.mhd`` (with its ``.raw`` or ``.zraw``) or ``.mha``.

    Raises:
        DataError: The header leaves out spacing or orientation, or the voxels are truncated.
    """
    fields = _text_header(path, "=")
    # ITK takes 1 mm and the identity where they are left out.
    _require(path, fields, ("elementspacing",), "spacing")
    _require(path, fields, ("transformmatrix", "orientation", "rotation"), "orientation")
    return _read_volume(path, "MetaImage", "MetaImageIO")


def read_nrrd(path: Path) -> Voxels:
    """Read ``.nrrd``.

    Raises:
        DataError: The header leaves out spacing or orientation, or the voxels are truncated.
    """
    fields = _text_header(path, ":")
    _require(path, fields, ("space directions",), "spacing and orientation")
    _require(path, fields, ("space",), "orientation")
    return _read_volume(path, "NRRD", "NrrdImageIO")


def metaimage_data_file(path: Path) -> Path | None:
    """Return the file that holds the voxels of a ``.mhd``, None where its header names none."""
    name = _text_header(path, "=").get("elementdatafile", "") if path.is_file() else ""
    return path.parent / name if name and name.upper() not in ("LOCAL", "LIST") else None


def _read_volume(path: Path, kind: str, image_io: str) -> Voxels:
    file = ItkFile(path, kind, image_io)
    if len(file.size) != 3:
        raise DataError(f"{path}: expected a volume with 3 axes, got size {file.size}")
    return file.array(), file.affine


def _text_header(path: Path, separator: str) -> dict[str, str]:
    """Fields of a text header, names in lower case: up to a blank line or the voxels' place."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for line in file.read(_HEADER_BYTES).splitlines():
            name, found, value = line.decode("latin-1").partition(separator)
            if not line.strip():
                break
            if found:
                fields[name.strip().lower()] = value.strip()
            if name.strip().lower() == "elementdatafile":
                break
    return fields


def _require(path: Path, fields: dict[str, str], names: tuple[str, ...], what: str) -> None:
    if not any(fields.get(name) for name in names):
        raise DataError(
            f"{path}: the header has no {' or '.join(names)}, so the {what} of the volume is "
            "unknown; write the file again with it"
        )
