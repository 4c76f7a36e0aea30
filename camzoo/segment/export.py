"""Volumes as files that any viewer opens on top of the scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from camzoo.data.volume import FloatArray


def write_volume(
    path: Path, array: NDArray[np.uint8] | NDArray[np.float32], affine: FloatArray
) -> None:
    """Write labels, a map or a scan as NIfTI-1.

    Args:
        path: Ends in ``.nii`` or ``.nii.gz``.
        array: [z, y, x].
        affine: 4 x 4, index (z, y, x, 1) to RAS mm.
    """
    make: Any = nib.Nifti1Image
    image = make(array.T, affine[:, [2, 1, 0, 3]])
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
