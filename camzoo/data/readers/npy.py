"""Arrays of NumPy: voxels without a header that says how they lie."""

from __future__ import annotations

import math
import sys
import warnings
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from camzoo.core.errors import DataError
from camzoo.core.text import reason
from camzoo.data.disk import named_faults, require_file
from camzoo.data.readers.base import require_room, unreadable

_HEADERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npy(path: Path) -> NDArray[Any]:
    """Read an array, after its header was looked at.

    Raises:
        DataError: It is no npy file, holds other things than numbers, or is shorter than its header
            states.
    """
    size = require_file(path)
    # The header is an expression of Python, which may warn of what is in it.
    silent = warnings.catch_warnings(action="ignore")
    with silent, named_faults(path), path.open("rb") as file:
        shape, dtype = _stated(path, file)
        if dtype.kind not in "biuf":
            raise DataError(f"{path}: expected one number per voxel, got type {dtype}")
        require_room(path, math.prod(shape) * dtype.itemsize, size - file.tell())
        file.seek(0)
        try:
            array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        except ValueError as error:  # where one size is 0, the others need no room
            raise unreadable(path, "npy", error) from error
    return array


def _stated(path: Path, file: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    beginning = file.read(len(npy.MAGIC_PREFIX))
    if beginning != npy.MAGIC_PREFIX:
        raise DataError(f"{path} is no npy file: it begins with {beginning!r}")
    file.seek(0)
    try:
        shape, dtype = _parsed(file)
    except Exception as error:  # the header is an expression, whose parsers fail in any way
        raise unreadable(path, "npy", reason(error)) from error
    if not all(0 <= count <= sys.maxsize for count in shape):
        raise DataError(f"{path}: the header states the shape {shape}")
    return shape, dtype


def _parsed(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"files of version {version} are not read")
    shape, _, dtype = _HEADERS[version](file)
    return shape, dtype
