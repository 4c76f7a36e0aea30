"""Runs whose reference labels were corrected since: their numbers are of labels that are gone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from camzoo.harness.identity import Identity
from camzoo.harness.manifest import MANIFEST

#: Folder among the runs that takes them.
SUPERSEDED: Final = "superseded"


def set_aside(identity: Identity, out: Path) -> list[str]:
    """Move runs that differ from one in nothing but the labels out of the way of who reads runs.

    Args:
        identity: Identity of the run that stays.
        out: Folder of runs.

    Returns:
        A line for each that was moved.
    """
    return [_move(folder, out) for folder in list(_stale(identity, out))]


def _stale(identity: Identity, out: Path) -> Iterator[Path]:
    for manifest in sorted(out.glob(f"*/{MANIFEST}")):
        folder = manifest.parent
        if folder.name != identity.run and _lineage(manifest) == identity.lineage:
            yield folder


def _lineage(manifest: Path) -> str | None:
    """What a manifest says; nothing where it is damaged, or from before it was written down."""
    with suppress(OSError, ValueError, AttributeError, RecursionError):
        lineage = json.loads(manifest.read_text(encoding="utf-8")).get("lineage")
        return lineage if isinstance(lineage, str) else None
    return None


def _move(folder: Path, out: Path) -> str:
    target = out / SUPERSEDED / folder.name
    target.parent.mkdir(exist_ok=True)
    if target.exists():  # the same run, set aside before: labels went back and forth
        shutil.rmtree(target)
    folder.rename(target)
    return f"note: {folder.name} is of other labels of the same scans, and is now in {target}"
