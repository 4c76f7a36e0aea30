"""How much the choice of the threshold matters: DSC over thresholds (Figure 8 of C-CAM)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camzoo.report.table_cells import LINE, mean_std, methods, ranked
from camzoo.report.tables import pooled_dsc

#: A threshold is as good as the best one within so many points of DSC.
WITHIN: Final = 5.0
#: Thresholds whose DSC is shown.
_SHOWN: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def threshold_table(curves: pd.DataFrame) -> pd.DataFrame:
    """Pooled DSC of the training slices by threshold, and how flat it is, flattest first.

    Args:
        curves: Counts of one run (:attr:`camzoo.harness.run.BenchResult.curves`).

    Returns:
        Per method the width of the range of thresholds within :data:`WITHIN` points of the best,
        mean ± sample standard deviation over folds and seeds, and the mean DSC at some thresholds.
    """
    pooled = pooled_curves(curves[curves["subset"] == "train"], LINE)
    lines: list[dict[str, Any]] = []
    for line, mine in methods(pooled.reset_index()):
        scores = mine[pooled.columns].dropna(axis=1, how="all")
        widths = pd.Series([width(scores.columns.to_numpy(), row) for row in scores.to_numpy()])
        mean = scores.mean()
        lines.append(
            line
            | {
                f"within {WITHIN:g} points": mean_std(widths),
                "best": f"{mean.max():.2f}",
                "at": f"{mean.idxmax():.2f}",
            }
            | {f"{t:.1f}": f"{mean.iloc[_nearest(mean, t)]:.1f}" for t in _SHOWN}
            | {"_rank": -widths.mean()}
        )
    return ranked(lines)


def pooled_curves(curves: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Pooled DSC in percent, mean over organs.

    Returns:
        A row per value of ``by``, fold and seed, a column per threshold.
    """
    index = [*by, "fold", "seed"]
    pooled = pooled_dsc(curves, [*index, "threshold"])
    return 100 * pooled.pivot_table(index=index, columns="threshold", values="dsc", observed=True)


def width(thresholds: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Width of the range around the best threshold in which no score is far below the best.

    Args:
        thresholds: Ascending, evenly spaced, [T].
        scores: Scores in percent, [T].

    Returns:
        Length of the range, each threshold standing for the step around it: 0.05 for one of
        nineteen thresholds, 0.95 for all of them.
    """
    good = scores >= scores.max() - WITHIN
    best = int(scores.argmax())
    below = np.flatnonzero(~good[:best])
    above = np.flatnonzero(~good[best:])
    first = below[-1] + 1 if len(below) else 0
    last = best + above[0] - 1 if len(above) else len(scores) - 1
    step = float(thresholds[1] - thresholds[0]) if len(thresholds) > 1 else 0.0
    return (last - first + 1) * step


def _nearest(scores: pd.Series[float], threshold: float) -> int:
    return int(np.abs(scores.index.to_numpy(np.float64) - threshold).argmin())
