"""What the files of a run say of each other: one that was changed alone is found out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camzoo.core.errors import DamagedError
from camzoo.core.text import plain
from camzoo.evaluate.result_files import COLUMNS, CURVES
from camzoo.evaluate.rows import KEY, NO_THRESHOLD, ROWS, line_names, run_again
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
    found_cells = set(frame[["fold", "seed"]].drop_duplicates().itertuples(index=False, name=None))
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
    tp, n_pred, n_ref = (curves[name] for name in _COUNTS)
    wrong = (tp < 0) | (tp > n_pred) | (tp > n_ref) | ~curves["threshold"].between(0, 1)
    _require(path, not wrong.any(), f"counts of {_first(curves, np.flatnonzero(wrong))} cannot be")


def _require_same_counts(path: Path, rows: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Rows of maps are cut from the curves: at their threshold both have the same counts.

    Of curves no two may be of the same threshold; thresholds are compared to nine digits.
    """
    mapped = (rows["protocol"] != NO_THRESHOLD) & (rows["region"] == WHOLE)
    of_maps = rows.loc[mapped, [*_CURVE, *_COUNTS]]
    _require(path, of_maps.empty or not curves.empty, f"it is empty, and {ROWS} has rows of maps")
    if curves.empty:
        return
    swept, chosen = _numbers(curves, of_maps)
    order = np.argsort(swept, kind="stable")
    swept = swept[order]
    twice = np.flatnonzero(np.diff(swept) == 0)
    _require(path, not len(twice), f"{_first(curves, order[twice + 1])} stands twice")
    place = np.searchsorted(swept, chosen).clip(max=len(swept) - 1)
    same = swept[place] == chosen
    for name in _COUNTS:
        same &= curves[name].to_numpy()[order[place]] == of_maps[name].to_numpy()
    wrong = np.flatnonzero(~same)
    _require(path, not len(wrong), f"{ROWS} has other counts for {_first(of_maps, wrong)}")


def _numbers(
    curves: pd.DataFrame, of_maps: pd.DataFrame
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A number for the key of every row of both; -1 where the curves know a part of it not."""
    swept, chosen = np.zeros(len(curves), np.int64), np.zeros(len(of_maps), np.int64)
    strange = np.zeros(len(of_maps), np.bool_)
    for name in _CURVE:
        codes, known = _codes(curves[name])
        mine, asked = _codes(of_maps[name])
        beside = known.get_indexer(asked)[mine]
        strange |= beside < 0
        swept, chosen = swept * len(known) + codes, chosen * len(known) + beside
    return swept, np.where(strange, -1, chosen)


def _codes(column: pd.Series[Any]) -> tuple[NDArray[np.intp], pd.Index[Any]]:
    """The position of each value among those that there are."""
    values = column.round(9) if pd.api.types.is_float_dtype(column) else column
    codes, known = pd.factorize(values, use_na_sentinel=False)
    return codes, pd.Index(np.asarray(known))


def _require_costs(path: Path, rows: pd.DataFrame, costs: Sequence[Cost]) -> None:
    of_baselines = rows[rows["protocol"] == NO_THRESHOLD]
    lines = line_names(of_baselines)
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


def _first(frame: pd.DataFrame, wrong: NDArray[np.intp]) -> str:
    """The key of the first row that is wrong."""
    row = frame[_CURVE].iloc[wrong[0]] if len(wrong) else pd.Series(dtype=object)
    return ", ".join(f"{name} {plain(value, 60)}" for name, value in row.items() if value != "")
