"""What all readers share: their signature and how they say that a file is broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray

from camzoo.data.volume import FloatArray
from camzoo.errors import DataError

#: Voxels [z, y, x] as they are stored, and the affine from (z, y, x, 1) to RAS mm.
Voxels: TypeAlias = tuple[NDArray[Any], FloatArray]
#: Reads one file or folder; faults are raised as DataError and name the file.
Reader: TypeAlias = Callable[[Path], Voxels]


def unreadable(path: Path, kind: str, reason: object) -> DataError:
    """Build the error for a file that its library cannot read."""
    return DataError(
        f"{path} cannot be read as {kind} ({reason}); it may be truncated or damaged: "
        "copy or download it again"
    )
