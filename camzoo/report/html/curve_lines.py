"""Threshold curves of a report: pooled DSC of the training slices, protocols marked."""

from __future__ import annotations

from typing import Any

import pandas as pd

from camzoo.core.text import plain
from camzoo.report.equivalents import EQUALS
from camzoo.report.html.score_table import told_apart
from camzoo.report.records import Record
from camzoo.report.segmentation import of_maps
from camzoo.report.table_cells import methods
from camzoo.report.tables import pooled_means
from camzoo.report.thresholds import pooled_curves


def curve_lines(record: Record) -> list[dict[str, Any]]:
    """Curve of each method of a run, best first, with where each protocol cut it.

    Curves and marks are means over folds and seeds.
    """
    rows = of_maps(told_apart(record))
    rows = rows[(rows["subset"] == "train") & (rows["region"] == "whole")]
    curves = record.curves[record.curves["subset"] == "train"]
    by_name = {line["method"]: mine for line, mine in methods(curves)}
    lines = []
    for line, mine in methods(rows):
        mean = pooled_curves(by_name[line["method"].split(EQUALS)[0]]).mean()
        lines.append(
            {
                "run": record.run,
                "method": plain(line["method"]),
                "thresholds": [float(t) for t in mean.index],
                "dsc": [round(float(value), 3) for value in mean],
                "marks": [_mark(str(p), part) for p, part in mine.groupby("protocol")],
            }
        )
    return sorted(lines, key=lambda line: -max(line["dsc"]))


def _mark(protocol: str, rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "protocol": protocol,
        "threshold": float(rows["threshold"].mean()),
        "dsc": round(float(pooled_means(rows).mean()), 3),
    }
