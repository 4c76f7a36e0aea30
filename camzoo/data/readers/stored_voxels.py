"""Where the voxels of a text header lie, and whether they can all be there.

ITK takes memory for what a header states before it looks at the file, does not compare the checksum
of compressed MetaImages, and prints patterns with whatever they hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import DataError
from camzoo.data.disk import named_faults, require_file
from camzoo.data.notes import Note
from camzoo.data.readers.base import inflate, require_room

#: A printf pattern with one integer, as ITK fills it in.
_PATTERN: Final = re.compile(r"[^%]*%0?\d{0,3}d[^%]*")
#: More files than a volume has slices.
_MOST_FILES: Final = 100_000


@dataclass(frozen=True)
class Stored:
    """The voxels that a header states.

    Attributes:
        header: File of the header.
        files: Files of the voxels, in order; the header's own where they follow it.
        skip: Bytes before the voxels in each of them.
        sizes: Numbers of voxels, the axis that runs fastest first.
        dtype: Type of the numbers, with their order of bytes; None where that is not known
            beforehand.
        deflated: Whether they are compressed, as gzip and zlib do.
        packed: Bytes of the compressed voxels, None where they go on to the end of the file.
    """

    header: Path
    files: tuple[Path, ...]
    skip: int
    sizes: tuple[int, ...]
    dtype: np.dtype[Any] | None
    deflated: bool
    packed: int | None = None

    @property
    def companions(self) -> tuple[Path, ...]:
        """The files besides the header."""
        return tuple(file for file in self.files if file != self.header)

    @property
    def count(self) -> int:
        """Numbers that the header states."""
        return math.prod(self.sizes)

    def require(self) -> Found:
        """Refuse files that cannot hold the voxels.

        Raises:
            DataError: A file is missing, no file, too short, or its compressed data are damaged.
        """
        if not self.files:
            raise DataError(f"{self.header}: the header names no file with the voxels")
        try:
            there = sum(max(require_file(file) - self.skip, 0) for file in self.files)
        except DataError as error:
            raise DataError(f"{self.header} says where its voxels are, but {error}") from error
        where = self.files[0]
        # Of numbers in text, or of a type not known here, each takes a byte at least.
        need = self.count * (1 if self.dtype is None else self.dtype.itemsize)
        require_room(where, need, there, deflated=self.deflated)
        if self.dtype is None:
            return Found()
        if self.deflated:
            return Found(array=self._inflated(need))
        if there > need:
            spare = f"{there - need} bytes in {where.name}"
            note = Note("files hold more than the voxels that their header states", spare)
            return Found((note,))
        return Found()

    def _inflated(self, need: int) -> NDArray[Any]:
        if len(self.files) > 1:
            raise DataError(
                f"{self.header}: compressed voxels in {len(self.files)} files are not read; "
                "write them into one file"
            )
        file = self.files[0]
        with named_faults(file):
            data = memoryview(file.read_bytes())[self.skip :]
        voxels = inflate(file, data[: self.packed], need)
        require_room(file, need, len(voxels))
        array = np.frombuffer(voxels, self.dtype).reshape(self.sizes[::-1])
        return array.astype(array.dtype.newbyteorder("="), copy=False)


@dataclass(frozen=True, eq=False)
class Found:
    """What :meth:`Stored.require` found.

    Attributes:
        notes: Notes on files that hold more than the voxels.
        array: Voxels that had to be decompressed to compare their checksum, axes reversed.
    """

    notes: tuple[Note, ...] = ()
    array: NDArray[Any] | None = None


def beside(header: Path, names: Iterable[str]) -> tuple[Path, ...]:
    """Return the files that a header names, relative to its own folder.

    Raises:
        DataError: No file can have such a name.
    """
    named = list(names)
    if any("\0" in name for name in named):
        raise DataError(f"{header}: the header names a file with a zero byte in its name")
    return tuple(header.parent / name for name in named)


def numbered(pattern: str, first: int, last: int, step: int) -> list[str]:
    """Return the names that a printf pattern gives for the numbers from ``first`` to ``last``.

    Raises:
        ValueError: The pattern holds something else than one integer, or the numbers do not end.
    """
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(f"the pattern {pattern!r} needs exactly one %d")
    if step == 0 or not 0 <= (last - first) // step < _MOST_FILES:
        raise ValueError(f"no files are numbered from {first} to {last} in steps of {step}")
    return [pattern % number for number in range(first, last + (1 if step > 0 else -1), step)]
