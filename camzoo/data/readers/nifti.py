"""NIfTI-1 and NIfTI-2 (nibabel)."""

from __future__ import annotations

import gzip
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from camzoo.data.readers.base import Voxels, unreadable
from camzoo.data.volume import FloatArray
from camzoo.errors import DataError

#: NIfTI's units of length in mm; files that leave the unit out mean mm.
_UNIT_MM: Final = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
#: Largest relative difference between two statements of the voxel size in one header.
_SAME: Final = 0.01
#: First number in a NIfTI-2 file.
_NIFTI2_HEADER_SIZE: Final = 540
#: What nibabel lets through from the layers below it when a file is damaged.
_FAULTS: Final = (
    ImageFileError,
    HeaderDataError,
    WrapStructError,
    OSError,
    EOFError,
    KeyError,
    ValueError,
    zlib.error,
)


def read_nifti(path: Path) -> Voxels:
    """Read a ``.nii`` or ``.nii.gz`` file; trailing axes of length 1 are dropped.

    Raises:
        DataError: The file is truncated, or its header does not say the orientation or contradicts
            itself about the voxel size.
    """
    try:
        data = _bytes(path)
        image = _kind(data).from_bytes(data)
        array = np.asanyarray(image.dataobj)
        affine = _affine(path, data, image.header)
    except _FAULTS as error:
        raise unreadable(path, "NIfTI", error) from error
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return array.T, affine[:, [2, 1, 0, 3]]


def _bytes(path: Path) -> bytes:
    """All of a file, decompressed to its end: only there does gzip compare the checksum."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix.lower() == ".gz" else data


def _kind(data: bytes) -> Any:
    sizes = {int.from_bytes(data[:4], order) for order in ("little", "big")}
    return nib.Nifti2Image if _NIFTI2_HEADER_SIZE in sizes else nib.Nifti1Image


def _affine(path: Path, data: bytes, header: Any) -> FloatArray:
    """Index (x, y, z, 1) to RAS mm."""
    affine = _stated_affine(path, _stated_zooms(path, data), header)
    affine[:3] *= _UNIT_MM[header.get_xyzt_units()[0]]
    return affine


def _stated_affine(path: Path, zooms: FloatArray, header: Any) -> FloatArray:
    """The form that agrees with ``pixdim``.

    A header states the voxel size up to three times: in ``pixdim``, in the lengths of the sform's
    axes, and in the qform, which is scaled by ``pixdim``. The sform is preferred, as nibabel does,
    but only where it agrees with ``pixdim``: official ACDC files carry an sform of unit length
    (github.com/MIC-DKFZ/nnUNet/issues/2741), which would turn millimetres into voxels.
    """
    sform, qform = header.get_sform(coded=True), header.get_qform(coded=True)
    lengths = np.linalg.norm(sform[0][:3, :3], axis=0) if sform[1] else None
    if lengths is not None and np.allclose(lengths, zooms, rtol=_SAME, atol=0):
        return np.array(sform[0], float)
    if qform[1]:
        return np.array(qform[0], float)
    if lengths is None:
        raise DataError(
            f"{path}: the header states no orientation (qform_code and sform_code are 0); "
            "write the file again with its affine"
        )
    if np.allclose(lengths, 1, rtol=_SAME, atol=0):
        return np.array(sform[0] @ np.diag([*zooms, 1.0]), float)  # directions without lengths
    raise DataError(
        f"{path}: the header contradicts itself: voxels of {zooms.tolist()} mm by pixdim, "
        f"{lengths.tolist()} mm by the sform; correct the one that is wrong"
    )


def _stated_zooms(path: Path, data: bytes) -> FloatArray:
    """``pixdim`` as it stands in the file: on loading, nibabel takes 1 for a voxel size of 0."""
    raw = _kind(data).header_class.from_fileobj(BytesIO(data), check=False)
    zooms: FloatArray = np.abs(np.array(raw["pixdim"][1:4], float))
    if not zooms.all():
        raise DataError(
            f"{path}: the header states voxels of {zooms.tolist()} mm (pixdim); write the file "
            "again with its spacing"
        )
    return zooms
