"""Where a data set lies under the folder that a user names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

#: How far below a folder, and in how many folders, a data set is looked for.
_DEEPEST: Final = 3
_MOST_FOLDERS: Final = 2000
#: What unpacking leaves beside the data.
_LEFT_OVER: Final = "__MACOSX"


def matches(folder: Path, marks: Iterable[str]) -> bool:
    """Whether something in ``folder`` has a name like one of the patterns ``marks``."""
    return folder.is_dir() and any(next(folder.glob(mark), None) is not None for mark in marks)


def top_folder(root: Path, marks: Sequence[str], tops: Sequence[str]) -> Path:
    """Return the folder that holds a data set: ``root``, or the top of an unpacked archive in it.

    Args:
        root: What the user named.
        marks: Patterns of names that stand in the folder of the data set.
        tops: Folders that archives are unpacked to, below the root.

    Returns:
        The first folder with such names among the root, ``tops``, and what lies below the root as
        the only folder of its parent; the root itself where there is none.
    """
    for folder in (root, *(root / top for top in tops), *_only_folders(root)):
        if matches(folder, marks):
            return folder
    return root


def folders_below(root: Path) -> Iterator[Path]:
    """Walk through ``root`` and the folders below it, the nearest first, to a limited depth."""
    level, seen = [root], 0
    for _ in range(_DEEPEST + 1):
        yield from level
        seen += len(level)
        if seen > _MOST_FOLDERS:
            return
        level = [folder for parent in level for folder in _folders_in(parent)]


def _only_folders(root: Path) -> Iterator[Path]:
    for _ in range(_DEEPEST):
        below = _folders_in(root)
        if len(below) != 1:
            return
        root = below[0]
        yield root


def _folders_in(folder: Path) -> list[Path]:
    """Visible folders, without those that cannot be opened; links are not followed."""
    try:
        with os.scandir(folder) as entries:
            found = [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False)]
    except (OSError, ValueError):  # ValueError: a name that no system takes
        return []
    return sorted(f for f in found if not f.name.startswith(".") and f.name != _LEFT_OVER)
