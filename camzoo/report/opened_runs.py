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
