"""Looking after a store: what is in it, whether it is what was written, what nobody needs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from camzoo.core.checksums import SUMS
from camzoo.core.errors import ConfigError
from camzoo.core.progress import Reporter
from camzoo.harness.lease import Leases, holder_of
from camzoo.harness.manifest import MANIFEST, STORE, read_manifest
from camzoo.harness.store import Made, fault_of, read_made
from camzoo.harness.superseded import SUPERSEDED
from camzoo.harness.work_folders import lease_of, leftovers, remove, results

_DAY: Final = 24 * 3600


@dataclass(frozen=True)
class Entry:
    """A result in a store.

    Attributes:
        name: Stage and digest, as manifests name it.
        size: Bytes of its files.
        used: Seconds since 1970 at which a run made or found it last.
        made: What made it; None where that cannot be read.
        runs: Names of the runs that refer to it.
    """

    name: str
    size: int
    used: float
    made: Made | None
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Waste:
    """A file or folder of a store that nobody needs.

    Attributes:
        path: What would be removed.
        final: The result that it is, or that it was to become.
        size: Bytes.
        why: Why it is not needed.
    """

    path: Path
    final: Path
    size: int
    why: str


def list_store(out: Path) -> list[Entry]:
    """List the results in the store of a folder of runs, by stage.

    Raises:
        ConfigError: There is no store.
        DamagedError: The manifest of a run cannot be read.
    """
    referring: dict[str, list[str]] = {}
    for folder in run_folders(out):
        for name in _artifacts(folder) or ():
            referring.setdefault(name, []).append(folder.name)
    return [
        Entry(
            (name := f"{stage.name}/{folder.name}"),
            _size(folder),
            folder.stat().st_mtime,
            read_made(folder),
            tuple(referring.get(name, ())),
        )
        for stage in _stages(out)
        for folder in results(stage)
    ]


def damaged_results(out: Path, reporter: Reporter) -> list[str]:
    """Compare every result of a store with its checksums; a line for each that differs.

    Raises:
        ConfigError: There is no store.
    """
    folders = [folder for stage in _stages(out) for folder in results(stage)]
    faults = []
    with reporter.stage(f"checksums of {len(folders)} results") as tick:
        for done, folder in enumerate(folders):
            if fault := fault_of(folder):
                faults.append(f"{fault}; a run that needs it makes it again")
            tick(done + 1, len(folders))
    return faults


def find_waste(out: Path, keep_days: float) -> list[Waste]:
    """List what no run refers to, and what killed and damaged work left behind.

    Nothing is among it that was made, found by a run or worked on in the last ``keep_days`` days,
    nor anything that a worker holds a lease on.

    Raises:
        ConfigError: There is no store, or a run does not say what it refers to.
        DamagedError: The manifest of a run cannot be read.
    """
    needed = {name for folder in run_folders(out) for name in _referred(folder)}
    before = time.time() - keep_days * _DAY
    found = [
        Waste(folder, folder, _size(folder), "no run refers to it")
        for stage in _stages(out)
        for folder in results(stage)
        if f"{stage.name}/{folder.name}" not in needed
    ] + [
        Waste(path, final, _size(path), "left behind")
        for stage in _stages(out)
        for path, final in leftovers(stage)
    ]
    return [w for w in found if _last_change(w.path) < before and not holder_of(lease_of(w.final))]


def clear(waste: list[Waste]) -> list[Waste]:
    """Remove what :func:`find_waste` found, but for what a worker has begun to work on since.

    Returns:
        What was removed.
    """
    gone = []
    with Leases() as leases:
        for each in waste:
            lease = lease_of(each.final)
            if not (leases.holds(lease) or leases.try_take(lease)):
                continue
            if each.path == each.final:
                remove(each.path)
            elif each.path.is_dir():
                shutil.rmtree(each.path)
            elif each.path != lease:
                each.path.unlink(missing_ok=True)
            gone.append(each)
    return gone


def run_folders(out: Path) -> list[Path]:
    """List the folders of runs, whole or not, those that were superseded included."""
    marks = [
        out.glob(f"{at}*/{name}") for at in ("", f"{SUPERSEDED}/") for name in (MANIFEST, SUMS)
    ]
    return sorted({path.parent for paths in marks for path in paths})


def _referred(run: Path) -> list[str]:
    """What a run refers to.

    Raises:
        ConfigError: It does not say.
    """
    names = _artifacts(run)
    if names is None:
        raise ConfigError(
            f"{run / MANIFEST} is from before runs wrote down which results they use; give the "
            f"command of that run again, or move {run} away, before anything is removed"
        )
    return names


def _artifacts(run: Path) -> list[str] | None:
    return read_manifest(run).get("artifacts")


def _stages(out: Path) -> list[Path]:
    store = out / STORE
    if not store.is_dir():
        raise ConfigError(f"{out} holds no store; give the --out of a run")
    return sorted(path for path in store.iterdir() if path.is_dir())


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path))


def _last_change(path: Path) -> float:
    """Latest change of a file in a folder, or of the folder itself, in seconds since 1970."""
    return max(each.stat().st_mtime for each in (path, *_files(path)))


def _files(path: Path) -> Iterator[Path]:
    yield from (p for p in path.rglob("*") if p.is_file()) if path.is_dir() else (path,)
