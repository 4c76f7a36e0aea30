"""Runs as leaderboards keep them: rows, curves and manifest, a folder each."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from camzoo.errors import ConfigError
from camzoo.rows import read_rows

FILES: Final = ("rows.parquet", "curves.parquet", "manifest.json")
#: Of runs with baselines only.
COSTS: Final = "costs.json"


@dataclass(frozen=True)
class Record:
    """One run.

    Attributes:
        run: Its name.
        rows: Result rows.
        curves: Counts of every method, case, organ and threshold.
        manifest: Configuration, environment, split.
        costs: What each baseline took, by fold and seed.
    """

    run: str
    rows: pd.DataFrame
    curves: pd.DataFrame
    manifest: dict[str, Any]
    costs: tuple[dict[str, Any], ...] = ()

    @property
    def dataset(self) -> str:
        """Data set with its variant: the page it belongs on."""
        return str(self.rows["dataset"].iloc[0])


def read_record(folder: Path) -> Record:
    """Read a run folder.

    Raises:
        ConfigError: It holds no finished run.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"{folder} is no finished run: {', '.join(missing)} missing; "
            "give the folder that camzoo bench printed at its end"
        )
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    costs = folder / COSTS
    return Record(
        run=str(manifest["run"]),
        rows=read_rows(folder / "rows.parquet"),
        curves=pd.read_parquet(folder / "curves.parquet"),
        manifest=manifest,
        costs=tuple(json.loads(costs.read_text(encoding="utf-8"))) if costs.exists() else (),
    )


def take_in(run: Path, records: Path) -> None:
    """Copy a finished run into the records of a leaderboard folder, replacing one of its name."""
    name = read_record(run).run
    target = records / name
    target.mkdir(parents=True, exist_ok=True)
    for file in (*FILES, COSTS):
        if (run / file).exists():
            shutil.copyfile(run / file, target / file)
