"""Writing files so that a kill never leaves half of one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

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
