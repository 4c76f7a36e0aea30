"""How sure the order of methods is: the ranks that each takes when patients are resampled.

The blob plot of Wiesenfarth et al. (Methods and open-source toolkit for analyzing and visualizing
challenge results, Scientific Reports 11, 2021).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import rankdata

from camzoo.evaluate.rows import line_name
from camzoo.metrics.comparison import paired_values
from camzoo.metrics.definitions import get_metric
from camzoo.metrics.statistics import bootstrap_means
from camzoo.report.figures.style import COLOURS, label, new_figure

#: Inches of a method, and of the axis below; area of a blob that holds all, in square points.
_ROW: Final = 0.25
_AXIS: Final = 0.55
_BLOB: Final = 130.0


def draw_ranks(rows: pd.DataFrame, metric: str) -> Figure:
    """Draw a blob for each method and rank, as large as it is often; a bar from 2.5 to 97.5 %.

    Args:
        rows: Result rows of one table.
        metric: Name of a metric.
    """
    names, ranks = rank_draws(rows, metric)
    figure = new_figure(_AXIS + _ROW * len(names))
    axis = figure.subplots()
    for place, mine in enumerate(ranks.T):
        there, counts = np.unique(mine, return_counts=True)
        low, high = np.quantile(mine, [0.025, 0.975])
        axis.plot([low, high], [place, place], color=COLOURS[0], linewidth=0.8)
        axis.scatter(
            there, np.full(len(there), place), s=_BLOB * counts / len(mine), color=COLOURS[0],
            alpha=0.75, linewidths=0, clip_on=False,
        )  # fmt: skip
    axis.set_yticks(range(len(names)), [label(name) for name in names])
    axis.set(xlim=(0.5, len(names) + 0.5), ylim=(len(names) - 0.5, -0.5))
    axis.set_xlabel(f"rank by mean {get_metric(metric).label}, patients resampled")
    axis.set_xticks(range(1, len(names) + 1))
    axis.grid(color="#e5e7eb", linewidth=0.5)
    axis.set_axisbelow(True)
    return figure


def rank_draws(rows: pd.DataFrame, metric: str) -> tuple[list[str], NDArray[np.float64]]:
    """Ranks of methods in replicates of the patients, with the draws that tables are made with.

    Returns:
        Methods, the best mean first; ranks [replicates, methods], 1 for the best, ties shared.
    """
    wide = paired_values(rows, metric).apply(get_metric(metric).goodness)
    order = np.argsort(-wide.mean().to_numpy(), kind="stable")
    wide = wide.iloc[:, order]
    means = bootstrap_means(wide.to_numpy(), wide.index.get_level_values("patient"))
    return [line_name(*map(str, key)) for key in wide.columns], rankdata(-means, axis=1)
