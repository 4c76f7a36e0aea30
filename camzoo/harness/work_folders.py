"""What stands beside the results in a store: work folders, leases, and what was set aside.

Everything here is hidden and named after the digest of its result. Each worker has a work folder
of its own, since one that lost its lease while it was suspended may still write to what it opened.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_HIDDEN: Final = re.compile(r"\.(?:work|damaged|removed|clock)-(?P<digest>[0-9a-f]+).*")
_PARTIAL: Final = ".partial"


def lease_of(final: Path) -> Path:
    """Return the file of the lease on making the result that will be the folder ``final``."""
    return final.with_name(f".work-{final.name}.lease")


def aside_of(final: Path, why: str) -> Path:
    """Return where a result goes that is ``damaged``, or about to be ``removed``."""
    return final.with_name(f".{why}-{final.name}")


def begin(final: Path, worker: str, *, resume: bool) -> tuple[Path, bool]:
    """Make the folder that a worker fills; only who has the lease may.

    Args:
        final: Where the result will be.
        worker: Tells it apart from all others.
        resume: Whether to begin with a copy of what another worker left last.

    Returns:
        The folder, and whether something was left.
    """
    own = final.with_name(f".work-{final.name}-{worker}")
    left = sorted(_left(final, own), key=lambda folder: folder.stat().st_mtime)
    whole = [folder for folder in left if folder.suffix != _PARTIAL]
    if resume and whole and not own.exists():
        copy = own.with_name(own.name + _PARTIAL)  # a kill in the middle leaves no half a state
        shutil.copytree(whole[-1], copy)
        copy.rename(own)
    for folder in left:
        _drop(folder, folder.with_name(folder.name.replace(".work-", ".removed-", 1)))
    own.mkdir(parents=True, exist_ok=True)
    return own, resume and bool(whole)


def _left(final: Path, own: Path) -> Iterator[Path]:
    """Work folders of a result that are not one's own."""
    for folder in final.parent.glob(f".work-{final.name}*"):
        if folder.is_dir() and folder != own:
            yield folder


def publish(own: Path, final: Path) -> bool:
    """Give a complete folder its final name; False where another worker had done so before.

    A folder cannot be renamed to one that holds something (rename(2)), so who comes second changes
    nothing, with or without a lease.
    """
    try:
        own.rename(final)
    except OSError:
        if not final.exists():
            raise
        shutil.rmtree(own, ignore_errors=True)
        return False
    return True


def remove(final: Path) -> None:
    """Remove a result."""
    _drop(final, aside_of(final, "removed"))


def _drop(folder: Path, aside: Path) -> None:
    """Remove a folder; a kill in the middle leaves no half of it under its name."""
    shutil.rmtree(aside, ignore_errors=True)
    with suppress(FileNotFoundError):  # its worker woke up, and published it
        folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def results(stage: Path) -> list[Path]:
    """Folders of the results of a stage."""
    return sorted(p for p in stage.iterdir() if p.is_dir() and not p.name.startswith("."))


def leftovers(stage: Path) -> Iterator[tuple[Path, Path]]:
    """List what is hidden in the folder of a stage, each with the result that it belongs to.

    Leases that nobody took over are among it: whether they are alive is not looked at.
    """
    for path in sorted(stage.iterdir()):
        if found := _HIDDEN.fullmatch(path.name):
            yield path, stage / found["digest"]
