"""How sure the order of methods is: the ranks that each may have, and its chance of the podium."""

from __future__ import annotations

from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from camzoo.metrics.definitions import get_metric
from camzoo.metrics.ranked_rows import PODIUM_COLUMNS
from camzoo.report.figures.style import COLOURS, label, new_figure
from camzoo.report.ranks import ranks_of

#: Inches of a method, and of the axis below.
_ROW: Final = 0.25
_AXIS: Final = 0.55
#: From the chance of the first place, in full colour, to that of the first three.
_SHADES: Final = {"first": 1.0, "two": 0.55, "three": 0.25}


def draw_ranks(rows: pd.DataFrame, metric: str) -> Figure:
    """Draw rank and interval of each method; beside it, how often it is among the first three.

    Args:
        rows: Result rows of one table.
        metric: Name of a metric.
    """
    ranks = ranks_of(rows, metric).sort_values("rank", kind="stable")
    places = range(len(ranks))
    figure = new_figure(_AXIS + _ROW * len(ranks))
    axis, podium = figure.subplots(1, 2, sharey=True, width_ratios=[2, 1])
    axis.hlines(places, ranks["rank_low"], ranks["rank_high"], color=COLOURS[0], linewidth=2.5)
    axis.plot(ranks["rank"], places, "o", color=COLOURS[1], markersize=4)
    axis.set_yticks(places, [label(name) for name in map(str, ranks.index)])
    axis.set(xlim=(0.5, len(ranks) + 0.5), ylim=(len(ranks) - 0.5, -0.5))
    axis.set_xlabel(f"rank by mean {get_metric(metric).label}, 95 %")
    for column, (name, alpha) in reversed(list(zip(PODIUM_COLUMNS, _SHADES.items(), strict=True))):
        chances = 100 * ranks[column]
        podium.barh(places, chances, height=0.6, color=COLOURS[2], alpha=alpha, label=name)
    podium.set(xlim=(0, 100), xlabel="among the first, %")
    for each in (axis, podium):
        each.grid(axis="x", color="#e5e7eb", linewidth=0.5)
        each.set_axisbelow(True)
    return figure
