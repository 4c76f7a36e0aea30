"""Threshold curves of a report: pooled DSC of the training slices, protocols marked."""

from __future__ import annotations

from typing import Any

import pandas as pd

from camzoo.core.supervision import Supervision
from camzoo.core.text import plain
from camzoo.report.equivalents import EQUALS
from camzoo.report.records import Record
from camzoo.report.segmentation import of_maps
from camzoo.report.table_cells import LINE, methods
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
    pooled = pooled_curves(curves, LINE).groupby(list(LINE), observed=True).mean().reset_index()
    by_name = {line["method"]: mine.iloc[0, len(LINE) :] for line, mine in methods(pooled)}
    marks = _marks(rows)
    lines = []
    for line, _ in methods(rows[list(LINE)].drop_duplicates()):
        mean = by_name[line["method"].split(EQUALS)[0]].dropna()
        lines.append(
            {
                "run": record.run,
                "method": plain(line["method"]),
                "bound": line["supervision"] == Supervision.MASK.value,
                "thresholds": [float(t) for t in mean.index],
                "dsc": [round(float(value), 3) for value in mean],
                "marks": marks[line["method"]],
            }
        )
    return sorted(lines, key=lambda line: (line["bound"], -max(line["dsc"])))


def _marks(rows: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Where each protocol cut each line, on average, and the DSC there."""
    keys = [*LINE, "protocol"]
    at = rows.groupby(keys, observed=True)["threshold"].mean()
    dsc = pooled_means(rows, keys).groupby(keys, observed=True)["dsc"].mean()
    both = pd.concat([at, dsc], axis=1).reset_index()
    return {
        line["method"]: [
            {"protocol": str(name), "threshold": float(cut), "dsc": round(float(value), 3)}
            for name, cut, value in mine[["protocol", "threshold", "dsc"]].itertuples(
                index=False, name=None
            )
        ]
        for line, mine in methods(both)
    }
