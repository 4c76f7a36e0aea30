"""What weak supervision is worth: each method beside masks of so many annotated patients."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import pandas as pd

from camzoo.core.errors import ConfigError
from camzoo.evaluate.rows import line_names
from camzoo.metrics.comparison import paired_values
from camzoo.metrics.frames import as_text
from camzoo.metrics.statistics import Interval
from camzoo.metrics.worth import ExchangeRate, Worth
from camzoo.report.common_cells import CELL, in_words
from camzoo.report.contenders import VOLUMES, of_protocol, scored
from camzoo.report.merged import Merged
from camzoo.report.merged_runs import other_folds
from camzoo.report.table_cells import NONE, number
from camzoo.report.tables import of_no_masks

#: The baseline that learns masks, of all training patients or of so many.
_BOUND: Final = "supervised"
_PATIENTS: Final = re.compile(r"\bpatients=(\d+)")
_CELL: Final = list(CELL)


@dataclass(frozen=True)
class Line:
    """A method that saw no masks of organs while it learned.

    Attributes:
        what: Maps, or volumes that a baseline segmented.
        method: As tables call it.
        dsc: Mean DSC of the test volumes, failures counted at their worst.
        worth: How many annotated patients give as much.
    """

    what: str
    method: str
    dsc: float
    worth: Worth


@dataclass(frozen=True)
class Exchange:
    """Methods beside masks.

    Attributes:
        bound: By number of annotated patients, how many draws of them there are, and the mean DSC
            of the U-Net that learned their masks.
        lines: The methods, best first.
        validation: Patients whose masks chose the thresholds, and the DSC that learning these masks
            gives; NaN where so many were not tried.
        cells: Folds and seeds, in words.
        volumes: Test volumes, how many.
    """

    bound: Mapping[int, tuple[int, float]]
    lines: tuple[Line, ...]
    validation: tuple[int, float]
    cells: str
    volumes: int


def require_exchange(merged: Merged) -> Exchange:
    """Compare all methods with the U-Net on masks of few patients (:func:`exchange`).

    Raises:
        ConfigError: Such masks were not run.
    """
    found = exchange(merged)
    if found is None:
        raise ConfigError(
            "masks of few patients were not run; give the bench --baselines supervised,"
            "supervised:patients=1,supervised:patients=2,supervised:patients=4 beside the methods, "
            "or name the run that has them, too"
        )
    return found


def exchange(merged: Merged) -> Exchange | None:
    """Compare all methods with the U-Net on masks of few patients.

    Only folds and seeds count that have all numbers of patients. None where there are none, or
    fewer than two numbers, or where folds of the records are of other patients.
    """
    if not (merged.baselines["method"] == _BOUND).any() or other_folds(merged.records):
        return None
    found = {what: of_protocol(rows) for what, rows in scored(merged).items()}
    annotated = _annotated(found[VOLUMES], merged)
    cells = _shared_cells(annotated)
    annotated = annotated.merge(cells, on=_CELL)
    if annotated["size"].nunique() < 2:
        return None
    wide = paired_values(annotated, "dsc", ["size", "variant"])
    by_size = wide.T.groupby(level="size").mean().T
    rate = ExchangeRate(
        {size: by_size[size].to_numpy() for size in sorted(set(annotated["size"].tolist()))},
        by_size.index.get_level_values("patient"),
    )
    weak = [_weak(rows, what, cells) for what, rows in found.items()]
    lines = [line for rows in weak for line in _lines(rows, rate, by_size.index)]
    draws = pd.Series(wide.columns.get_level_values("size")).value_counts()
    seen = _patients(merged, "val", set(cells["fold"]))
    return Exchange(
        bound={
            int(size): (int(draws[size]), float(mean))
            for size, mean in zip(rate.sizes, rate.means, strict=True)
        },
        lines=tuple(sorted(lines, key=lambda line: -line.dsc)),
        validation=(seen, rate.gives(seen)),
        cells=in_words(cells),
        volumes=len(by_size),
    )


def bound_table(found: Exchange) -> pd.DataFrame:
    """A line per number of annotated patients."""
    return pd.DataFrame(
        {"annotated patients": f"{size}", "draws": f"{draws}", "DSC (%)": number(100 * mean)}
        for size, (draws, mean) in found.bound.items()
    )


def worth_table(found: Exchange) -> pd.DataFrame:
    """A line per method: as good as so many annotated patients."""
    sizes = list(found.bound)
    return pd.DataFrame(
        {
            "what": line.what,
            "method": line.method,
            "DSC (%)": number(100 * line.dsc),
            "annotated patients": _told(line.worth.patients, sizes),
            "95 % interval": " to ".join(_told(end, sizes) for end in line.worth.interval),
        }
        for line in found.lines
    )


def validation_note(found: Exchange) -> str:
    """What the masks that choose thresholds would have bought."""
    patients, dsc = found.validation
    if math.isnan(dsc):
        return f"thresholds cost masks of {patients} patients; so many were not learnt from"
    return (
        f"thresholds cost masks of {patients} validation patients: learning so many gives "
        f"{number(100 * dsc)} % DSC"
    )


def exchange_record(found: Exchange) -> dict[str, Any]:
    """The same for a program.

    Of patients, 0 stands for fewer than the fewest that were tried, and null for more than the
    most. Without an interval, as for a single test patient, its ends are absent.
    """
    return {
        "cells": found.cells,
        "volumes": found.volumes,
        "masks": [
            {"patients": size, "draws": draws, "dsc": dsc}
            for size, (draws, dsc) in found.bound.items()
        ],
        "methods": [
            {
                "what": line.what, "method": line.method, "dsc": line.dsc,
                "patients": _finite(line.worth.patients),
                **_ends(line.worth.interval),
            }
            for line in found.lines
        ],
        "validation": {
            "patients": found.validation[0], "dsc": _finite(found.validation[1]),
        },
    }  # fmt: skip


def _annotated(volumes: pd.DataFrame, merged: Merged) -> pd.DataFrame:
    """Rows of the U-Net on masks, with how many patients were annotated as ``size``."""
    rows = volumes[volumes["method"] == _BOUND]
    everyone = _patients(merged, "train", set(rows["fold"]))
    variants = as_text(rows["variant"])
    few = [_PATIENTS.search(variant) for variant in variants]
    sizes = [int(match[1]) if match else everyone for match in few]
    return rows.assign(variant=variants, size=sizes)


def _shared_cells(annotated: pd.DataFrame) -> pd.DataFrame:
    """Folds and seeds that have every number of patients and draw."""
    each = annotated[[*_CELL, "variant"]].drop_duplicates()
    counts = each.groupby(_CELL).size()
    return counts[counts == each["variant"].nunique()].reset_index()[_CELL]


def _weak(rows: pd.DataFrame, what: str, cells: pd.DataFrame) -> pd.DataFrame:
    """Rows of methods that saw no masks, called as tables call them."""
    mine = of_no_masks(rows).merge(cells, on=_CELL)
    return mine.assign(line=line_names(mine), what=what)


def _lines(rows: pd.DataFrame, rate: ExchangeRate, cases: pd.Index[Any]) -> list[Line]:
    """Methods that have all of the cases."""
    found = []
    for name, mine in rows.groupby("line"):
        values = paired_values(mine, "dsc", ["line"])[name].reindex(cases)
        if not values.isna().any():
            worth = rate.worth(values.to_numpy())
            found.append(Line(mine["what"].iloc[0], str(name), float(values.mean()), worth))
    return found


def _patients(merged: Merged, subset: Literal["train", "val"], folds: set[int]) -> int:
    """How many patients a subset has, in the one of the folds that has most of them."""
    sizes = [
        len({record.patients.get(case, case) for case in split[subset]})
        for record in merged.records
        for fold, split in record.manifest["splits"].items()
        if int(fold) in folds
    ]
    return max(sizes, default=0)


def _told(patients: float, sizes: list[int]) -> str:
    if math.isnan(patients):
        return NONE
    if patients < sizes[0]:
        return f"< {sizes[0]}"
    if math.isinf(patients):
        return f"> {sizes[-1]}"
    return f"{patients:.1f}"


def _ends(interval: Interval) -> dict[str, float | None]:
    if math.isnan(interval.low):
        return {}
    return {"ci_low": _finite(interval.low), "ci_high": _finite(interval.high)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
