"""Label slices stored as one grey PNG each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import DataError
from camzoo.data.readers.itk import ItkFile


def read_png_stack(files: Sequence[Path], shape: tuple[int, int]) -> NDArray[Any]:
    """Read one grey PNG per slice, in the order given.

    Args:
        files: One per slice.
        shape: (rows, columns) that every one must have.

    Returns:
        Grey values [slice, row, column].

    Raises:
        DataError: A file is truncated, has colours, or has another shape.
    """
    return np.stack([_read_png(file, shape) for file in files])


def _read_png(file: Path, shape: tuple[int, int]) -> NDArray[Any]:
    picture = ItkFile(file, "PNG", "PNGImageIO").array()
    if picture.ndim != 2:
        raise DataError(f"{file}: expected one grey value per pixel, got {len(picture)} (colours)")
    if picture.shape != shape:
        raise DataError(
            f"{file}: expected {shape} rows and columns as in its image, got {picture.shape}"
        )
    return picture
