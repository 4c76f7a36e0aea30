"""Runs as leaderboards keep them: rows, curves and manifest, a folder each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from camzoo.core.checksums import SUMS, verify_sums
from camzoo.core.errors import ConfigError
from camzoo.evaluate.result_files import CURVES, read_curves
from camzoo.evaluate.row_checks import require_sound
from camzoo.evaluate.rows import ROWS, read_rows, run_again
from camzoo.harness.manifest import (
    COSTS,
    MANIFEST,
    SHORT,
    Cost,
    Manifest,
    read_costs,
    read_manifest,
)
from camzoo.metrics.frames import present
from camzoo.report.record_checks import require_consistent
from camzoo.report.table_cells import LINE

_COUNTS: Final = ["tp", "n_pred", "n_ref"]
#: Rows that are summed at once: groups of all of them would take more memory than the rows.
_AT_ONCE: Final = 500_000
#: Of every run.
FILES: Final = (ROWS, CURVES, MANIFEST)


@dataclass(frozen=True)
class Record:
    """One run.

    Attributes:
        run: Its name.
        rows: Result rows.
        curves: Counts of every method, fold, seed, subset, organ and threshold, all cases together.
        manifest: Configuration, environment, split.
        patients: Patient of each case of the curves, by case id.
        costs: What each baseline took, by fold and seed.
    """

    run: str
    rows: pd.DataFrame
    curves: pd.DataFrame
    manifest: Manifest
    patients: Mapping[str, str]
    costs: tuple[Cost, ...] = ()

    @property
    def dataset(self) -> str:
        """What its data set calls itself."""
        return str(self.rows["dataset"].iloc[0])

    @property
    def data(self) -> str | None:
        """First digits of the digest of its data; None in records from before there was one."""
        digest = self.manifest["dataset"].get("data")
        return digest[:SHORT] if digest else None


def read_record(folder: Path) -> Record:
    """Read a run folder, and believe nothing in it unseen.

    Raises:
        ConfigError: It holds no finished run, or one of another version of camzoo.
        DataError: A file is damaged, or files contradict each other or what metrics can be.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"{folder} is no finished run: {', '.join(missing)} missing; "
            "give the folder that camzoo bench printed at its end"
        )
    manifest = read_manifest(folder)
    # Before there was a version, there were no checksums.
    if "schema" in manifest or (folder / SUMS).exists():
        verify_sums(folder, files_of(folder), run_again)
    rows, costs = read_rows(folder / ROWS), read_costs(folder)
    require_sound(rows, str(folder / ROWS))
    curves = read_curves(folder, run_again, categories=True)
    require_consistent(folder, manifest, rows, curves, costs)
    whose = curves[["case", "patient"]].drop_duplicates().astype(str)
    patients = dict(zip(whose["case"], whose["patient"], strict=True))
    return Record(manifest["run"], rows, _summed(curves), manifest, patients, costs)


def _summed(curves: pd.DataFrame) -> pd.DataFrame:
    """Counts summed over cases: all that pages show of curves, and hundreds of times smaller."""
    keys = present(curves, (*LINE, "fold", "seed", "subset", "organ", "threshold"))
    counts = [
        curves[start : start + _AT_ONCE].groupby(keys, observed=True)[_COUNTS].sum()
        for start in range(0, len(curves), _AT_ONCE)
    ]
    if not counts:
        return curves
    return pd.concat(counts).groupby(keys, observed=True).sum().reset_index()


def files_of(folder: Path) -> tuple[str, ...]:
    """Names of the files in ``folder`` that make the run."""
    return (*FILES, *((COSTS,) if (folder / COSTS).exists() else ()))
