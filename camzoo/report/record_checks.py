"""What the files of a run say of each other: one that was changed alone is found out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from camzoo.core.errors import DamagedError
from camzoo.core.text import plain
from camzoo.evaluate.result_files import COLUMNS, CURVES
from camzoo.evaluate.rows import KEY, NO_THRESHOLD, ROWS, line_name, run_again
from camzoo.harness.manifest import COSTS, MANIFEST, SHORT, SUBSETS, Cost, Manifest, dataset_name
from camzoo.metrics.subregions import WHOLE

#: Columns that curves have beside their counts.
_CELL: Final = {
    "run": "text", "dataset": "text", "split": "text", "fold": "int", "seed": "int",
    "backbone": "text", "method": "text", "variant": "text", "supervision": "text",
    "subset": "text",
}  # fmt: skip
_CURVE: Final = ["fold", "seed", "method", "variant", "organ", "case", "threshold"]
_COUNTS: Final = ("tp", "n_pred", "n_ref")


def require_consistent(
    folder: Path,
    manifest: Manifest,
    rows: pd.DataFrame,
    curves: pd.DataFrame,
    costs: Sequence[Cost],
) -> None:
    """Refuse a run whose files contradict each other.

    Args:
        folder: Folder of the run, for messages.
        manifest: What the run says it was.
        rows: Sound by themselves (:func:`camzoo.evaluate.row_checks.require_sound`).
        curves: Counts of every method, case, organ and threshold.
        costs: What baselines took.

    Raises:
        DamagedError: With the first contradiction.
    """
    for name in (*KEY, "patient", "supervision", "status"):
        _require(folder / ROWS, not rows[name].isna().any(), f"{name} is missing in some rows")
    _require_identity(folder / ROWS, manifest, rows)
    _require_curves(folder / CURVES, manifest, curves)
    _require_same_counts(folder / CURVES, rows, curves)
    _require_costs(folder / COSTS, rows, costs)


def _require_identity(path: Path, manifest: Manifest, frame: pd.DataFrame) -> None:
    """The columns that name a run have to be what the manifest says."""
    config = manifest["config"]
    said = {
        "run": manifest["run"],
        "dataset": dataset_name(manifest),
        "split": config["data"]["split"],
        "backbone": config["backbone"]["name"],
    }
    if "data" in manifest["dataset"]:
        said["data"] = manifest["dataset"]["data"][:SHORT]
        _require(path, "data" in frame, "its column data is missing")
    for name, value in said.items():
        found = _texts(frame[name])
        _require(
            path,
            found == {value},
            f"its {name} is {_listed(found)}, {MANIFEST} says {_listed([value])}",
        )
    strange = _texts(frame["organ"]) - set(manifest["dataset"]["organs"])
    _require(path, not strange, f"{MANIFEST} knows no organ {_listed(strange)}")
    cells = {(cell["fold"], cell["seed"]) for cell in manifest["cells"]}
    found_cells = set(frame[["fold", "seed"]].itertuples(index=False, name=None))
    odd = sorted(found_cells - cells)
    _require(path, not odd, f"{MANIFEST} knows no fold and seed {_listed(odd)}")
    _require_subsets(path, manifest, frame)


def _require_subsets(path: Path, manifest: Manifest, frame: pd.DataFrame) -> None:
    """A case has to be in the subset that the manifest puts it in."""
    places = {
        (int(fold), subset, case)
        for fold, split in manifest["splits"].items()
        if fold.isdecimal()
        for subset in SUBSETS
        for case in split[subset]
    }
    there = frame[["fold", "subset", "case"]].drop_duplicates().itertuples(index=False, name=None)
    for fold, subset, case in there:
        _require(
            path,
            (fold, subset, case) in places,
            f"{MANIFEST} has no case {plain(case, 60)} among those of {plain(subset, 60)}, "
            f"fold {fold}",
        )


def _require_curves(path: Path, manifest: Manifest, curves: pd.DataFrame) -> None:
    if curves.empty:
        return  # baselines alone have none
    for name, kind in _CELL.items():
        there = name in curves and _KINDS[kind](curves[name]) and not curves[name].isna().any()
        _require(path, there, f"its column {name} is missing, has gaps or is no {kind}")
    for name in COLUMNS:
        _require(path, not curves[name].isna().any(), f"{name} is missing in some rows")
    _require_identity(path, manifest, curves)
    twice = curves.duplicated(_CURVE)
    _require(path, not twice.any(), f"{_first(curves, twice)} stands twice")
    tp, n_pred, n_ref = (curves[name] for name in _COUNTS)
    wrong = (tp < 0) | (tp > n_pred) | (tp > n_ref) | ~curves["threshold"].between(0, 1)
    _require(path, not wrong.any(), f"counts of {_first(curves, wrong)} cannot be")


def _require_same_counts(path: Path, rows: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Rows of maps are cut from the curves: at their threshold both have the same counts."""
    of_maps = rows[(rows["protocol"] != NO_THRESHOLD) & (rows["region"] == WHOLE)]
    if of_maps.empty:
        return
    _require(path, not curves.empty, f"it is empty, and {ROWS} has rows of maps")
    keyed = curves.set_index(_rounded(curves))[list(_COUNTS)]
    beside = keyed.reindex(_rounded(of_maps))
    same = (beside.to_numpy() == of_maps[list(_COUNTS)].to_numpy()).all(axis=1)
    wrong = pd.Series(~same, index=of_maps.index)
    _require(path, same.all(), f"{ROWS} has other counts for {_first(of_maps, wrong)}")


def _rounded(frame: pd.DataFrame) -> pd.MultiIndex:
    """The key of curves; thresholds are compared to nine digits."""
    return pd.MultiIndex.from_frame(frame[_CURVE].assign(threshold=frame["threshold"].round(9)))


def _require_costs(path: Path, rows: pd.DataFrame, costs: Sequence[Cost]) -> None:
    of_baselines = rows[rows["protocol"] == NO_THRESHOLD]
    lines = [
        line_name(*pair)
        for pair in zip(of_baselines["method"], of_baselines["variant"], strict=True)
    ]
    there = set(zip(of_baselines["fold"], of_baselines["seed"], lines, strict=True))
    seen: set[tuple[int, int, str]] = set()
    for cost in costs:
        key = cost["fold"], cost["seed"], cost["method"]
        what = f"{plain(key[2], 60)}, fold {key[0]}, seed {key[1]}"
        _require(path, key in there, f"{ROWS} has no rows of the baseline {what}")
        _require(path, key not in seen, f"the baseline {what} stands twice")
        seen.add(key)


def _require(path: Path, holds: bool, says: str) -> None:
    if not holds:
        raise DamagedError(f"{path}: {says}; {run_again(path)}")


_KINDS: Final = {"text": pd.api.types.is_string_dtype, "int": pd.api.types.is_integer_dtype}


def _texts(column: pd.Series[Any]) -> set[str]:
    return {str(value) for value in column.unique()}


def _listed(values: Iterable[object]) -> str:
    return plain(", ".join(repr(value) for value in sorted(values, key=str)), 120)


def _first(frame: pd.DataFrame, wrong: pd.Series[bool]) -> str:
    row = frame.loc[wrong, _CURVE].iloc[0] if np.asarray(wrong).any() else pd.Series(dtype=object)
    return ", ".join(f"{name} {plain(value, 60)}" for name, value in row.items() if value != "")
