"""How the values of a metric spread over cases, a box for each method."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from camzoo.evaluate.rows import line_name
from camzoo.metrics.definitions import get_metric
from camzoo.metrics.frames import groups
from camzoo.metrics.summary import grade
from camzoo.report.figures.style import COLOURS, label, new_figure
from camzoo.report.table_cells import title

#: Inches of a box with its name, and of the axis below.
_ROW: Final = 0.27
_AXIS: Final = 0.5
#: How far points lie around the middle of their box, in turn, so that few hide each other.
_SPREAD: Final = (0.0, 0.18, -0.18, 0.09, -0.09)


def draw_boxes(rows: pd.DataFrame, metric: str) -> Figure:
    """Draw median, quartiles, whiskers to 1.5 quartile ranges, and every case as a point.

    Organs and seeds of a case are averaged. Cases for which a metric is not defined are counted
    behind the name.

    Args:
        rows: Result rows of one table.
        metric: Name of a metric.
    """
    factor = 1 if get_metric(metric).unit else 100
    values = _values(rows, metric)
    best_first = sorted(values, key=lambda name: -_goodness(values[name], metric))
    figure = new_figure(_AXIS + _ROW * len(values))
    axis = figure.subplots()
    shown = [factor * values[name].dropna().to_numpy() for name in best_first]
    places = np.arange(len(shown), 0, -1)
    axis.boxplot(
        shown, positions=places, orientation="horizontal", widths=0.6, showfliers=False,
        medianprops={"color": COLOURS[1], "linewidth": 1.4}, boxprops={"linewidth": 0.7},
        whiskerprops={"linewidth": 0.7}, capprops={"linewidth": 0.7},
    )  # fmt: skip
    for place, points in zip(places, shown, strict=True):
        around = place + np.resize(_SPREAD, len(points))
        axis.plot(points, around, ".", c=COLOURS[0], ms=4.5, alpha=0.7, mew=0, zorder=3)
    axis.set_yticks(places, [_label(name, values[name]) for name in best_first])
    axis.set(xlabel=title(metric), ylim=(0.4, len(shown) + 0.6))
    axis.grid(axis="x", color="#e5e7eb", linewidth=0.5)
    axis.set_axisbelow(True)
    return figure


def _values(rows: pd.DataFrame, metric: str) -> dict[str, pd.Series[float]]:
    """Value of each case, by method; NaN where there is none."""
    graded = grade(rows, metric)
    graded = graded[~graded["empty"]]
    keys = ["method", "variant", "patient", "case"]
    means = graded.groupby(keys, observed=True)["value"].mean()
    return {
        line_name(str(key["method"]), str(key["variant"])): mine["value"]
        for key, mine in groups(means.reset_index(), ["method", "variant"])
    }


def _goodness(values: pd.Series[float], metric: str) -> float:
    mean = float(get_metric(metric).goodness(values).mean())
    return mean if np.isfinite(mean) else -np.inf


def _label(name: str, values: pd.Series[float]) -> str:
    lost = int(values.isna().sum())
    return label(name) + (f" ({lost} failed)" if lost else "")
