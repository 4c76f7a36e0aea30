"""The merged table of a report: a line per method, run, protocol, stage, region and organ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from camzoo.core.text import plain
from camzoo.evaluate.rows import line_name
from camzoo.metrics.definitions import get_metric
from camzoo.metrics.subregions import WHOLE
from camzoo.metrics.summary import summarise
from camzoo.report.records import Record
from camzoo.report.table_cells import (
    CERTAIN,
    EVERY_ORGAN,
    SHOWN,
    certainty,
    comparison,
    mean_std,
    number,
    spread,
    threshold_range,
    title,
)
from camzoo.report.tables import of_weak, pooled_dsc
from camzoo.report.told_apart import told_apart

#: What switches choose between; the rest of a line is its cells.
SWITCHES: Final = ("data", "what", "learnt from", "protocol", "region", "organ")
_LINE: Final = ["method", "variant", "supervision"]
_VIEW: Final = ["what", "learnt from", "protocol", "region"]


def score_lines(record: Record, data: str) -> list[dict[str, str]]:
    """Cells of all lines of a run, as the leaderboard's tables have them.

    Args:
        record: The run.
        data: What its data set is called among those of the report.
    """
    rows = told_apart(record)
    organs = rows["organ"].unique()
    lines = list(_lines(rows, _VIEW))
    if len(organs) > 1:
        lines += _lines(rows, [*_VIEW, "organ"])
    run = {"data": plain(data), "run": record.run}
    return [run | {name: plain(text) for name, text in line.items()} for line in lines]


def _lines(rows: pd.DataFrame, view: Sequence[str]) -> Iterator[dict[str, str]]:
    by = [*view, *_LINE]
    found = {
        metric: summarise(rows, metric, by, level=CERTAIN if metric == "dsc" else None)
        for metric in SHOWN
    }
    cells = [*by, "fold", "seed"]
    of_organs = pooled_dsc(rows, [name for name in cells if name != "organ"])
    of_cells = 100 * of_organs.groupby(cells, observed=True)["dsc"].mean()
    pooled = {key: mean_std(mine) for key, mine in of_cells.groupby(by, observed=True)}
    ends = rows.groupby(by, observed=True)["threshold"].agg(["min", "max"])
    thresholds = {key: threshold_range(low, high) for key, low, high in ends.itertuples(name=None)}
    order = _orders(rows, view)
    for numbers in zip(*(frame.to_dict("records") for frame in found.values()), strict=True):
        lines = dict(zip(found, numbers, strict=True))
        names = {name: str(lines["dsc"][name]) for name in by}
        key = tuple(names.values())
        method = line_name(names["method"], names.pop("variant"))
        yield (
            {"organ": EVERY_ORGAN}
            | names
            | {"method": method}
            | _cells(lines)
            | {"pooled DSC (%)": pooled.get(key, "")}
            | {"threshold": thresholds.get(key, "")}
            | order.get(tuple(names[n] for n in view), {}).get(method, {})
        )


def _cells(lines: Mapping[str, Mapping[Any, Any]]) -> dict[str, str]:
    measured = {
        title(name): spread(line, 1 if get_metric(name).unit else 100)
        for name, line in lines.items()
    }
    dsc = lines["dsc"]
    counts = {
        "volumes": f"{int(dsc['n'])}",
        "failed": f"{int(dsc['n_failed'])}",
        "ASD with failures": number(lines["asd_mm"]["mean_with_failures"]),
    }
    return measured | certainty(dsc) | counts


def _orders(
    rows: pd.DataFrame, view: Sequence[str]
) -> dict[tuple[str, ...], dict[str, dict[str, str]]]:
    """How sure the order of each view is: of whole organs of test cases alone, which it takes."""
    rows = of_weak(rows[(rows["subset"] == "test") & (rows["region"] == WHOLE)])
    return {
        tuple(map(str, key)): comparison(mine)
        for key, mine in rows.groupby(list(view), observed=True)
        if _is_paired(mine)
    }


def _is_paired(rows: pd.DataFrame) -> bool:
    """Whether every line has every case: a baseline that failed in some folds has no pairs."""
    cases = rows[[*_LINE, "fold", "seed", "case"]].drop_duplicates()
    return len(set(cases.groupby(_LINE, observed=True).size())) == 1
