"""Files in the formats of the field, read as canonical volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from camzoo.core.errors import DataError
from camzoo.data.disk import named_faults, require_file
from camzoo.data.readers.base import Format, Voxels
from camzoo.data.readers.dicom import read_series
from camzoo.data.readers.metaimage import metaimage_companions, read_metaimage
from camzoo.data.readers.nrrd import nrrd_companions, read_nrrd
from camzoo.data.volume import Volume


def _read_nifti(path: Path) -> Voxels:
    from camzoo.data.readers.nifti import read_nifti  # nibabel, imported when a file is read

    return read_nifti(path)


#: Formats of volume files. A further one is made known here, and the tests walk through them.
FORMATS: Final = (
    Format("NIfTI", (".nii.gz", ".nii"), _read_nifti),
    Format("MetaImage", (".mhd", ".mha"), read_metaimage, metaimage_companions),
    Format("NRRD", (".nrrd", ".nhdr"), read_nrrd, nrrd_companions),
)
_FORMAT_OF: Final = {suffix: kind for kind in FORMATS for suffix in kind.suffixes}
#: Endings of the volume files that :func:`read_volume` reads.
VOLUME_SUFFIXES: Final = tuple(_FORMAT_OF)


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
        DataError: As :func:`read_voxels`, or there are several frames, channels or colours.
        GeometryError: The axes are not at right angles.
    """
    try:
        voxels = read_voxels(path)
    except DataError as error:
        raise DataError(f"case {case}: {error}") from error
    if voxels.array.ndim > 3:
        counts = " x ".join(str(count) for count in voxels.array.shape[:-3])
        raise DataError(
            f"case {case}: {path}: expected one grey value per voxel, got {counts} values "
            "(frames, channels or colours); keep one of them in the file"
        )
    volume = Volume(voxels.array, voxels.affine, case, patient, str(path), voxels.notes)
    return volume.canonical()


def read_voxels(path: Path) -> Voxels:
    """Read a volume file, or a folder that holds one DICOM series, as it is stored.

    Leading axes of length one are dropped: a file of one frame is a volume.

    Raises:
        DataError: Nothing is there, or something else than a file or a folder; the format is
            unknown; the file is shorter than its header states, or damaged; its header does not say
            spacing and orientation; or its voxels are no numbers.
    """
    with named_faults(path):
        if path.stat() and path.is_dir():
            voxels = read_series(path)
        else:
            require_file(path)
            voxels = _format(path).read(path)
    array = voxels.array
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: expected one grey value per voxel, got type {array.dtype}")
    if array.ndim > 3:
        frames = [count for count in array.shape[:-3] if count != 1]
        array = array.reshape(*frames, *array.shape[-3:])
    return Voxels(array, voxels.affine, voxels.notes)


def volume_suffix(path: Path) -> str | None:
    """Return the ending of a volume file in lower case, None for any other file."""
    name = path.name.lower()
    return next((suffix for suffix in VOLUME_SUFFIXES if name.endswith(suffix)), None)


def volume_stem(path: Path) -> str | None:
    """Return the name of a volume file without its ending, None for any other file."""
    suffix = volume_suffix(path)
    return path.name[: -len(suffix)] if suffix else None


def companions(path: Path) -> tuple[Path, ...]:
    """Return the files besides ``path`` that are read with it: those that its header refers to."""
    suffix = volume_suffix(path)
    return _FORMAT_OF[suffix].companions(path) if suffix and path.is_file() else ()


def _format(path: Path) -> Format:
    suffix = volume_suffix(path)
    if suffix is None:
        raise DataError(
            f"{path}: expected a folder of DICOM slices or a file ending in "
            f"{', '.join(VOLUME_SUFFIXES)}"
        )
    return _FORMAT_OF[suffix]
