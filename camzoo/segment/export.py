"""Label volumes as files that any viewer opens on top of the scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from camzoo.data.volume import FloatArray


def write_labels(path: Path, labels: NDArray[np.uint8], affine: FloatArray) -> None:
    """Write a label volume as NIfTI-1.

    Args:
        path: Ends in ``.nii`` or ``.nii.gz``.
        labels: uint8 [z, y, x].
        affine: 4 x 4, index (z, y, x, 1) to RAS mm.
    """
    make: Any = nib.Nifti1Image
    image = make(labels.T, affine[:, [2, 1, 0, 3]])
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
