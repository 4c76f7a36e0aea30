"""Runs as a report takes them in: read, named once, with the store beside them where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from camzoo.core.errors import ConfigError
from camzoo.core.text import plain
from camzoo.report.records import Record, read_record
from camzoo.report.titles import titles_of
from camzoo.report.viewed_cells import ViewedCell, is_synthetic, view


@dataclass(frozen=True)
class OpenedRun:
    """A run of a report.

    Attributes:
        record: The run.
        folder: Where it was read from.
        viewed: Folds and seeds with slices, masks and maps; or why they are not shown.
        title: What its data set is called among those of the report.
    """

    record: Record
    folder: Path
    viewed: tuple[ViewedCell, ...] | str
    title: str

    @property
    def terms(self) -> tuple[str, str]:
        """Licence and citation of its data."""
        dataset = self.record.manifest["dataset"]
        licence, citation = dataset.get("licence"), dataset.get("citation")
        return plain(licence or "not known"), plain(citation or "not known")

    @property
    def shows_patients(self) -> bool:
        """Whether scans of real patients, or what was made of them, leave with it."""
        return not isinstance(self.viewed, str) and not is_synthetic(self.record)


def open_runs(runs: Sequence[Path], *, include_images: bool) -> list[OpenedRun]:
    """Read finished runs.

    Args:
        runs: Their folders.
        include_images: Whether scans of real patients may leave with them.

    Raises:
        ConfigError: There are none, a folder holds no finished run, or two are one run.
        DataError: A file is damaged.
    """
    if not runs:
        raise ConfigError("name the folder of a run: camzoo report RUN --out DIR")
    records = [read_record(folder) for folder in runs]
    names = [record.run for record in records]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"two folders are both the run {twice}; give one of them")
    titles = titles_of(records)
    return [
        OpenedRun(r, folder, view(r, folder, include_images=include_images), titles[r.run])
        for r, folder in zip(records, runs, strict=True)
    ]


def open_cell(run: Path, fold: int | None, seed: int | None) -> tuple[ViewedCell, list[ViewedCell]]:
    """Open a fold and seed of a finished run whose store is still beside it.

    Args:
        run: Its folder.
        fold: Which fold; None for the first that there is.
        seed: Which seed; likewise.

    Returns:
        The cell, and the other seeds of its fold.

    Raises:
        ConfigError: The folder holds no finished run, its store is gone, or it has no such cell.
        DataError: A file is damaged.
    """
    (opened,) = open_runs([run], include_images=True)
    if isinstance(opened.viewed, str):
        raise ConfigError(
            f"{opened.record.run} has no maps to look at: {opened.viewed}; give the folder in "
            "which camzoo bench left the run, with the store beside it, or run the same bench again"
        )
    found = [
        cell for cell in opened.viewed if fold in (None, cell.fold) and seed in (None, cell.seed)
    ]
    if not found:
        there = "; ".join(f"fold {cell.fold}, seed {cell.seed}" for cell in opened.viewed)
        wish = [f"{name} {n}" for name, n in (("fold", fold), ("seed", seed)) if n is not None]
        raise ConfigError(f"{opened.record.run} has no {', '.join(wish)}; it has {there}")
    cell = found[0]
    return cell, [o for o in opened.viewed if o.fold == cell.fold and o.seed != cell.seed]
