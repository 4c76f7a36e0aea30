"""Threshold curves of a report: pooled DSC of the training slices, protocols marked."""

from __future__ import annotations

from typing import Any

import pandas as pd

from camzoo.core.supervision import Supervision
from camzoo.core.text import plain
from camzoo.report.equivalents import EQUALS
from camzoo.report.records import Record
from camzoo.report.segmentation import of_maps
from camzoo.report.table_cells import methods
from camzoo.report.tables import pooled_means
from camzoo.report.thresholds import pooled_curves
from camzoo.report.told_apart import told_apart


def curve_lines(record: Record) -> list[dict[str, Any]]:
    """Curve of each method of a run, those without masks first, then best first.

    Curves, and marks where each protocol cut them, are means over folds and seeds.
    """
    rows = of_maps(told_apart(record))
    rows = rows[(rows["subset"] == "train") & (rows["region"] == "whole")]
    curves = record.curves[record.curves["subset"] == "train"]
    by_name = {line["method"]: mine for line, mine in methods(curves)}
    lines = []
    for line, mine in methods(rows):
        cut = mine.groupby("protocol", observed=True)
        mean = pooled_curves(by_name[line["method"].split(EQUALS)[0]]).mean()
        lines.append(
            {
                "run": record.run,
                "method": plain(line["method"]),
                "bound": line["supervision"] == Supervision.MASK.value,
                "thresholds": [float(t) for t in mean.index],
                "dsc": [round(float(value), 3) for value in mean],
                "marks": [_mark(str(name), part) for name, part in cut],
            }
        )
    return sorted(lines, key=lambda line: (line["bound"], -max(line["dsc"])))


def _mark(protocol: str, rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "protocol": protocol,
        "threshold": float(rows["threshold"].mean()),
        "dsc": round(float(pooled_means(rows)["dsc"].mean()), 3),
    }
