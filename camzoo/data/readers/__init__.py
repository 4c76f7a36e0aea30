"""Files in the formats of the field, read as canonical volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from camzoo.data.readers.base import Reader
from camzoo.data.readers.dicom import read_series
from camzoo.data.readers.itk import metaimage_data_file, read_metaimage, read_nrrd
from camzoo.data.readers.nifti import read_nifti
from camzoo.data.volume import Volume
from camzoo.errors import DataError

_READERS: Final[dict[str, Reader]] = {
    ".nii.gz": read_nifti,
    ".nii": read_nifti,
    ".mhd": read_metaimage,
    ".mha": read_metaimage,
    ".nrrd": read_nrrd,
}
#: Endings of the volume files that :func:`read_volume` reads.
VOLUME_SUFFIXES: Final = tuple(_READERS)


def read_volume(path: Path, *, case: str, patient: str) -> Volume:
    """Read a volume file, or a folder that holds one DICOM series.

    Spacing and orientation come from the header; a header that leaves them out is refused.

    Args:
        path: The file or folder.
        case: Name of the case, for messages and for the volume.
        patient: Name of the patient.

    Returns:
        The volume in canonical orientation (:meth:`camzoo.data.volume.Volume.canonical`).

    Raises:
        DataError: Nothing is there, the format is unknown, the file is truncated, its header does
            not say spacing and orientation, or it holds other than one number per voxel.
    """
    if not path.exists():
        raise DataError(f"case {case}: {path} is missing; put it there or take the case away")
    try:
        array, affine = _reader(path)(path)
    except DataError as error:
        raise DataError(f"case {case}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"case {case}: {path}: expected one grey value per voxel, got type {array.dtype}"
        )
    return Volume(array, affine, case, patient, source=str(path)).canonical()


def volume_stem(path: Path) -> str | None:
    """Return the name of a volume file without its ending, None for any other file."""
    suffix = _suffix(path)
    return path.name[: -len(suffix)] if suffix else None


def companions(path: Path) -> tuple[Path, ...]:
    """Return the files besides ``path`` that are read with it: the voxels of a ``.mhd`` header."""
    voxels = metaimage_data_file(path) if path.suffix.lower() == ".mhd" else None
    return (voxels,) if voxels else ()


def _suffix(path: Path) -> str | None:
    name = path.name.lower()
    return next((suffix for suffix in VOLUME_SUFFIXES if name.endswith(suffix)), None)


def _reader(path: Path) -> Reader:
    if path.is_dir():
        return read_series
    suffix = _suffix(path)
    if suffix is None:
        raise DataError(
            f"{path}: expected a folder of DICOM slices or a file ending in "
            f"{', '.join(VOLUME_SUFFIXES)}"
        )
    return _READERS[suffix]
