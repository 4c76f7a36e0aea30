"""Numbers of a report as CSV: a summary and the rows of all cases, tidy, for any program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from camzoo.metrics.definitions import get_metric
from camzoo.metrics.summary import summarise
from camzoo.report.escaping import sheet_cell
from camzoo.report.further import further_metrics
from camzoo.report.opened_runs import OpenedRun
from camzoo.report.table_cells import EVERY_ORGAN, SHOWN

#: What a line of the summary is about, besides its run and its metric.
_BY: Final = [
    "dataset", "data", "stage", "subset", "method", "variant", "supervision", "protocol", "region",
]  # fmt: skip


def write_csv(runs: Sequence[OpenedRun], folder: Path, _cases: int) -> None:
    """Write ``summary.csv`` and ``cases.csv``: numbers in full, nothing in them is a formula.

    Args:
        runs: Those of the report.
        folder: An empty folder.
    """
    rows = pd.concat([run.record.rows for run in runs], ignore_index=True)
    lines = [line for run in runs for line in _summary(run)]
    for name, frame in {"summary": pd.concat(lines, ignore_index=True), "cases": rows}.items():
        _inert(frame).to_csv(
            folder / f"{name}.csv", index=False, encoding="utf-8", lineterminator="\n"
        )


def _summary(run: OpenedRun) -> Iterator[pd.DataFrame]:
    """Lines of :func:`camzoo.metrics.summary.summarise`: mean of organs, and each of several."""
    rows = run.record.rows
    views = [[*_BY, "organ"]] if len(rows["organ"].unique()) > 1 else []
    for metric in (*SHOWN, *further_metrics(rows)):
        chosen = get_metric(metric)
        for by in (_BY, *views):
            found = summarise(rows, metric, by)
            if "organ" not in by:
                found.insert(len(_BY), "organ", EVERY_ORGAN)
            found.insert(0, "run", run.record.run)
            found.insert(len(_BY) + 2, "metric", metric)
            found.insert(len(_BY) + 3, "unit", chosen.unit)
            yield found


def _inert(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with all text in it, and in its headings, as cells that no program computes."""
    numbers = set(frame.select_dtypes("number").columns)
    cells: dict[str, pd.Series[Any]] = {
        sheet_cell(name): column
        if name in numbers
        else column.astype(object).map(sheet_cell, "ignore")
        for name, column in frame.items()
    }
    return pd.DataFrame(cells)
