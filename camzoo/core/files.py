"""Writing files so that a kill never leaves half of one, and saying why one cannot be written."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from safetensors import SafetensorError

from camzoo.core.errors import StorageError

#: Faults of a disk or a process, whatever file they were met at.
_OF_THE_MACHINE: Final = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE,
    }
)  # fmt: skip
_ADVICE: Final = {
    errno.ENOSPC: "free some space, or write elsewhere",
    errno.EDQUOT: "free some space, or write elsewhere",
    errno.EFBIG: "allow larger files (ulimit -f), or write elsewhere",
    errno.EROFS: "write elsewhere",
    errno.EACCES: "allow writing there, or write elsewhere",
    errno.EPERM: "allow writing there, or write elsewhere",
    errno.ENOENT: "it is gone",
    errno.ENOTDIR: "there is a file where a folder has to be; write elsewhere",
    errno.EEXIST: "there is a file where a folder has to be; write elsewhere",
}
#: How libraries that are not written in Python name the number of a fault.
_NUMBER: Final = re.compile(r"(?:code: |errno |os error )(\d+)", re.IGNORECASE)
#: Endings of the hidden folders beside one that is being replaced: what comes, and what was.
_PARTIAL: Final = ".partial"
_FORMER: Final = ".former"


@contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Give a path to write to; what is there takes the place of ``path`` when all went well."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` whole or not at all."""
    with replace_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")


def reserve(path: Path) -> None:
    """Take the place on the disk that a file laid out for memory mapping will need.

    Writing through a mapping to a disk that is full ends the process (SIGBUS) where no error can be
    caught. Systems and disks that cannot reserve are left as they are.

    Raises:
        OSError: The disk is full.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENODEV):
                raise


@contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Say in one line that ``folder`` cannot be written or read, and why.

    A full or read-only disk counts wherever it is met. A file that is missing or closed to the user
    counts below ``folder``: elsewhere it is the matter of whoever opened it.

    Raises:
        StorageError: In the place of the system's error.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = _number_of(error)
        nameless = isinstance(error, SafetensorError) and number is not None
        if not (number in _OF_THE_MACHINE or nameless or _is_below(error, folder)):
            raise
        raise StorageError(_sentence(error, number, folder)) from error


def _number_of(error: Exception) -> int | None:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _NUMBER.search(str(error))
    return int(found[1]) if found else None


def _is_below(error: Exception, folder: Path) -> bool:
    named = getattr(error, "filename", None) or str(error)
    return str(folder) in str(named) or str(folder.absolute()) in str(named)


def _sentence(error: Exception, number: int | None, folder: Path) -> str:
    reason = os.strerror(number) if number else f"{type(error).__name__}: {error}"
    name = getattr(error, "filename", None)
    where = f" ({name})" if name and str(name) != str(folder) else ""
    advice = _ADVICE.get(number or 0, "look at the disk")
    return f"{folder} cannot be used: {reason}{where}; {advice}"


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes the place of the folder ``path`` when all went well.

    No system swaps two folders in one step everywhere. A kill between the two steps leaves what was
    under another name, and :func:`settle_folders` brings it back.
    """
    partial = path.with_name(f".{path.name}{_PARTIAL}")
    former = path.with_name(f".{path.name}{_FORMER}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():
            path.rename(former)
        partial.rename(path)
    finally:
        settle_folders(path.parent)


def settle_folders(parent: Path) -> None:
    """Bring back what :func:`replace_folder` was killed over, and clear away what it left."""
    if not parent.is_dir():
        return
    for former in parent.glob(f".*{_FORMER}"):
        path = former.with_name(former.name.removeprefix(".").removesuffix(_FORMER))
        if path.exists():
            shutil.rmtree(former)
        else:
            former.rename(path)
    for partial in parent.glob(f".*{_PARTIAL}"):
        if partial.is_dir():
            shutil.rmtree(partial)
