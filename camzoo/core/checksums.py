"""Checksums of the files of a folder, as ``sha256sum`` writes and ``sha256sum -c`` checks them.

They stand in a file of their own: checksums of Parquet's pages leave its footer and all JSON out,
and a manifest cannot hold its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from camzoo.core.errors import DamagedError
from camzoo.core.files import write_text
from camzoo.core.stored import Advice, reading
from camzoo.core.text import LONGEST, plain

SUMS: Final = "SHA256SUMS"
_LINE: Final = re.compile(r"([0-9a-f]{64})  (.+)")


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """Write down what the files ``names`` of a folder hold."""
    lines = (f"{file_digest(folder / name)}  {name}\n" for name in sorted(names))
    write_text(folder / SUMS, "".join(lines))


def verify_sums(folder: Path, names: Iterable[str], advice: Advice) -> None:
    """Refuse files that are not what was written down of them.

    Args:
        folder: With files and their checksums.
        names: All files that have to be among them, and no others.
        advice: What to do about damage.

    Raises:
        DamagedError: One differs, or the list is not one of these files.
    """
    path, names = folder / SUMS, set(names)
    text = path.read_bytes().decode(errors="replace") if path.is_file() else ""
    found = [_LINE.fullmatch(line) for line in text.splitlines()]
    sums = {line[2]: line[1] for line in found if line}
    if None in found or not sums or len(sums) != len(found):
        raise DamagedError(f"{path} is no list of checksums; {advice(path)}")
    for name in sorted(names ^ set(sums)):
        fault = f"has no checksum in {SUMS}" if name in names else "is missing"
        raise DamagedError(f"{folder / plain(name, LONGEST)} {fault}; {advice(path)}")
    for name, digest in sorted(sums.items()):
        with reading(folder / name, advice):
            found_digest = file_digest(folder / name)
        if found_digest != digest:
            raise DamagedError(
                f"{folder / name} is not what was written: its checksum differs from the one in "
                f"{SUMS}; {advice(path)}"
            )


def file_digest(path: Path) -> str:
    """Return the SHA-256 of what a file holds, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_digest(path: Path) -> str:
    """Return what stands for the content of a file or folder, wherever that lies.

    Args:
        path: A file, whose SHA-256 it is; or a folder, of which the names below it and the content
            of all its files count, but for hidden ones (``.git``, ``.cache``).
    """
    if not path.is_dir():
        return file_digest(path)
    files = {each.relative_to(path): each for each in path.rglob("*") if each.is_file()}
    lines = (
        f"{file_digest(file)}  {name.as_posix()}\n"
        for name, file in sorted(files.items())
        if not any(part.startswith(".") for part in name.parts)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
