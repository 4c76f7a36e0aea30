"""NIfTI-1 and NIfTI-2 (nibabel)."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from camzoo.data.readers.base import Voxels, unreadable
from camzoo.data.volume import FloatArray
from camzoo.errors import DataError

#: NIfTI's units of length in mm; files that leave the unit out mean mm.
_UNIT_MM: Final = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
#: Largest relative difference between two statements of the voxel size in one header.
_SAME: Final = 0.01


def read_nifti(path: Path) -> Voxels:
    """Read a ``.nii`` or ``.nii.gz`` file; trailing axes of length 1 are dropped.

    Raises:
        DataError: The file is truncated, or its header does not say the orientation or contradicts
            itself about the voxel size.
    """
    try:
        image: Any = nib.load(path)
        array = np.asanyarray(image.dataobj)
        affine = _affine(path, image.header)
    except (ImageFileError, HeaderDataError, OSError, EOFError, KeyError, ValueError) as error:
        raise unreadable(path, "NIfTI", error) from error
    except zlib.error as error:
        raise unreadable(path, "gzipped NIfTI", error) from error
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return array.T, affine[:, [2, 1, 0, 3]]


def _affine(path: Path, header: Any) -> FloatArray:
    """Index (x, y, z, 1) to RAS mm."""
    affine = _stated_affine(path, header)
    affine[:3] *= _UNIT_MM[header.get_xyzt_units()[0]]
    return affine


def _stated_affine(path: Path, header: Any) -> FloatArray:
    """The form that agrees with ``pixdim``.

    A header states the voxel size up to three times: in ``pixdim``, in the lengths of the sform's
    axes, and in the qform, which is scaled by ``pixdim``. The sform is preferred, as nibabel does,
    but only where it agrees with ``pixdim``: official ACDC files carry an sform of unit length
    (github.com/MIC-DKFZ/nnUNet/issues/2741), which would turn millimetres into voxels.
    """
    zooms = np.array(header.get_zooms()[:3], float)
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
