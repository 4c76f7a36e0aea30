"""Where the voxels of a text header lie, and whether they can all be there.

ITK takes memory for what a header states before it looks at the file, does not compare the checksum
of compressed MetaImages, and prints patterns with whatever they hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from camzoo.data.disk import named_faults, require_file
from camzoo.data.notes import Note
from camzoo.data.readers.base import inflate, require_room
from camzoo.errors import DataError

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
        need: Bytes that all voxels take, None where that cannot be told beforehand.
        deflated: Whether they are compressed, as gzip and zlib do.
        packed: Bytes of the compressed voxels, None where they go on to the end of the file.
    """

    header: Path
    files: tuple[Path, ...]
    skip: int
    need: int | None
    deflated: bool
    packed: int | None = None

    @property
    def companions(self) -> tuple[Path, ...]:
        """The files besides the header."""
        return tuple(file for file in self.files if file != self.header)

    def require(self) -> tuple[Note, ...]:
        """Refuse files that cannot hold the voxels.

        Returns:
            Notes on files that hold more.

        Raises:
            DataError: A file is missing, no file, too short, or its compressed data are damaged.
        """
        if not self.files:
            raise DataError(f"{self.header}: the header names no file with the voxels")
        there = sum(max(require_file(file) - self.skip, 0) for file in self.files)
        if self.need is None:
            return ()
        where = self.files[0]
        require_room(where, self.need, there, deflated=self.deflated)
        if self.deflated:
            self._require_sound(self.need)
            return ()
        if there > self.need:
            spare = f"{there - self.need} bytes in {where.name}"
            return (Note("files hold more than the voxels that their header states", spare),)
        return ()

    def _require_sound(self, need: int) -> None:
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
