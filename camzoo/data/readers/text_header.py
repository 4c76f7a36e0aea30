"""The text in front of the voxels of a MetaImage or NRRD file."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from camzoo.core.errors import DataError
from camzoo.core.text import plain, shortly
from camzoo.data.disk import named_faults, require_file
from camzoo.data.notes import Note

#: A header is looked for in this much of a file.
_MOST_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class TextHeader:
    """Fields of a header.

    Attributes:
        path: Its file.
        beginning: The first bytes of it.
        fields: Values by name, names in lower case; of a field that stands twice the last one.
        notes: Fields that stand twice and differ.
        following: Lines after it: names of files, where its last field says that it lists them.
        end: Bytes before the voxels, where they are in the same file.
    """

    path: Path
    beginning: bytes
    fields: dict[str, str]
    notes: tuple[Note, ...]
    following: tuple[str, ...]
    end: int

    def numbers(self, name: str, count: int | None = None) -> list[float]:
        """Return the numbers of a field.

        Raises:
            DataError: It is absent, or holds something else or another number of them.
        """
        text = self.fields.get(name, "")
        try:
            values = [float(part) for part in text.split()]
        except ValueError:
            values = []
        if not values or (count is not None and len(values) != count):
            wanted = "numbers" if count is None else f"{count} numbers"
            raise DataError(f"{self.path}: expected {wanted} in {name}, got {shortly(text)}")
        return values

    def whole(self, name: str, absent: int) -> int:
        """Return the whole number of a field that may be absent.

        Raises:
            DataError: It holds something else.
        """
        if name not in self.fields:
            return absent
        (value,) = self.numbers(name, 1)
        if not value.is_integer():
            raise DataError(
                f"{self.path}: expected a whole number in {name}, got {shortly(self.fields[name])}"
            )
        return int(value)

    def sizes(self, name: str) -> list[int]:
        """Return the numbers of voxels along the axes.

        Raises:
            DataError: One is no whole number above 0.
        """
        values = self.numbers(name)
        if not all(value.is_integer() and value > 0 for value in values):
            raise DataError(
                f"{self.path}: expected whole numbers above 0 in {name}, got "
                f"{shortly(self.fields[name])}"
            )
        return [int(value) for value in values]

    def require(self, names: tuple[str, ...], what: str) -> None:
        """Refuse a header that has none of some fields.

        Raises:
            DataError: All of them are absent.
        """
        if not any(self.fields.get(name) for name in names):
            raise DataError(
                f"{self.path}: the header has no {' or '.join(names)}, so the {what} of the volume "
                "is unknown; write the file again with it"
            )


def read_text_header(
    path: Path,
    separator: str,
    is_last: Callable[[str, str], bool],
    room: Callable[[str, str], int],
) -> TextHeader:
    """Read the fields in front of the voxels: up to the last field, or to a blank line.

    Args:
        path: The file.
        separator: Between a name and its value.
        is_last: Whether nothing of the header follows a field, from its name and value.
        room: Bytes that ITK has for the line of a field, likewise; of a longer one it writes past
            the end, and the process is gone.

    Raises:
        DataError: It is no file, cannot be read, or has a line that is too long.
    """
    require_file(path)
    with named_faults(path), path.open("rb") as file:
        data = file.read(_MOST_BYTES)
    end = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    fields: dict[str, str] = {}
    notes: list[Note] = []
    for line in data[end:].splitlines(keepends=True):
        end += len(line)
        name, found, value = line.decode("latin-1").partition(separator)
        name, value = name.strip().lower(), value.strip()
        if len(line) > room(name, value):
            raise DataError(
                f"{path}: the header has a line of {len(line)} bytes, expected at most "
                f"{room(name, value)}: {plain(name, 40)}; shorten it"
            )
        if not line.strip():
            break
        if found:
            if fields.get(name, value) != value:
                notes.append(Note(f"the header states {name} twice", f"{fields[name]} and {value}"))
            fields[name] = value
            if is_last(name, value):
                break
    if not fields:
        raise DataError(f"{path} has no header: it is empty or begins with {data[:8]!r}")
    following = tuple(data[end:].decode("latin-1").split("\n"))
    return TextHeader(path, data[:8], fields, tuple(notes), following, end)
