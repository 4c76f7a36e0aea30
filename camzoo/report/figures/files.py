"""All figures of a report, each as PNG, PDF and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from camzoo.evaluate.rows import SEGMENTATION
from camzoo.metrics.subregions import WHOLE
from camzoo.report.curve_lines import curve_lines
from camzoo.report.figures.boxes import draw_boxes
from camzoo.report.figures.curves import draw_curves
from camzoo.report.figures.grids import draw_grid
from camzoo.report.figures.ranks import draw_ranks
from camzoo.report.figures.style import drawing, save
from camzoo.report.gallery import case_panel
from camzoo.report.opened_runs import OpenedRun
from camzoo.report.records import Record
from camzoo.report.segmentation import of_baselines, of_maps, rankable
from camzoo.report.table_cells import SHOWN
from camzoo.report.tables import HEADLINE, of_weak
from camzoo.report.told_apart import told_apart
from camzoo.report.viewed_cells import ViewedCell

_RANKED: Final = "dsc"


def write_figures(runs: Sequence[OpenedRun], folder: Path, cases: int) -> None:
    """Draw thresholds, spreads, ranks and maps of each run into a folder of its name.

    Args:
        runs: Those of the report.
        folder: An empty folder.
        cases: Most cases of each run whose maps are drawn; three at most are.
    """
    with drawing():
        for run in runs:
            place = folder / run.record.run
            place.mkdir()
            save_tables(run.record, place)
            if not isinstance(run.viewed, str):
                save_grids(run.viewed[0], place, cases)


def save_tables(record: Record, folder: Path) -> None:
    """Draw what the rows tell: thresholds; spreads and ranks of test volumes."""
    if lines := curve_lines(record):
        save(draw_curves(lines), folder, "thresholds")
    rows = told_apart(record)
    rows = rows[(rows["subset"] == "test") & (rows["region"] == WHOLE)]
    maps, baselines = of_maps(rows), of_baselines(rows)
    _save_spreads(of_weak(maps[maps["protocol"] == HEADLINE.value]), folder, "maps")
    _save_spreads(rankable(baselines[baselines["stage"] == SEGMENTATION]), folder, "baselines")


def _save_spreads(rows: pd.DataFrame, folder: Path, what: str) -> None:
    """Of one table; ranks need two methods."""
    if not len(rows):
        return
    for metric in SHOWN:
        save(draw_boxes(rows, metric), folder, f"{what}-{metric}")
    if rows.groupby(["method", "variant"], observed=True).ngroups > 1:
        save(draw_ranks(rows, _RANKED), folder, f"{what}-ranks")


def save_grids(cell: ViewedCell, folder: Path, most: int) -> None:
    """Draw the worst, the median and the best test case."""
    rows = cell.rows[cell.rows["seed"] == cell.seed]
    for case, name in cell.standing.items():
        if case in cell.cases(most):
            panel = case_panel(cell.prepared, cell.maps, rows, case, name)
            save(draw_grid(panel), folder, f"slice-{name}")
