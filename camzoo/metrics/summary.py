"""Result rows, many cases, into one line per method: the numbers that tables print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from camzoo.errors import ConfigError
from camzoo.metrics.definitions import Direction, Metric, get_metric
from camzoo.metrics.frames import groups, present
from camzoo.metrics.statistics import bootstrap_interval
from camzoo.metrics.status import Status

#: What a line of a table is about; cases, patients, seeds and folds are summarised over.
CELL: Final = (
    "dataset", "split", "backbone", "stage", "method", "variant", "supervision",
    "subset", "protocol", "organ", "region",
)  # fmt: skip
_COUNTS: Final = ["tp", "n_pred", "n_ref"]


def grade(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Add to every row what the metric says, and what it says with failures at the worst case.

    Returns:
        The rows with the columns ``value`` (NaN where undefined or nothing was there to find),
        ``value_with_failures`` (NaN only where nothing was there to find), ``empty`` (nothing
        was there to find and nothing was found) and ``failed`` (a mask is empty or missing, or
        the number is).

    Raises:
        ConfigError: A failed row lacks what its worst case is made from.
    """
    chosen = get_metric(metric)
    n_pred, n_ref = (rows[name].astype("Float64") for name in ("n_pred", "n_ref"))
    empty = ((n_pred == 0) & (n_ref == 0)).fillna(value=False).astype(bool)
    missing = n_pred.isna() | (_column(rows, "status") == Status.MISSING)
    value = chosen.values(rows).where(~(empty | missing))
    value = value.where(np.isfinite(value))
    one_sided = ((n_pred == 0) ^ (n_ref == 0)).fillna(value=False).astype(bool)
    failed = ~empty & (value.isna() | one_sided)
    filled = value.where(empty | value.notna(), chosen.worst_of(rows))
    _require_worst(rows, chosen, filled.isna() & ~empty)
    return rows.assign(value=value, value_with_failures=filled, empty=empty, failed=failed)


def summarise(
    rows: pd.DataFrame,
    metric: str,
    by: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Summarise a metric over cases.

    Rows of one case in one group (training seeds; organs, where ``by`` leaves them out) are
    averaged first, so that the spread is the spread over cases. What seeds add stands apart in
    ``seed_std``.

    Args:
        rows: Result rows.
        metric: Name of a metric (:data:`camzoo.metrics.definitions.METRICS`).
        by: Columns that make a group; those of :data:`CELL` that the rows have, when left out.
        level: Of the confidence interval.
        seed: Of the bootstrap.

    Returns:
        A row per group, sorted: the columns of ``by``, then ``mean``, ``std`` (sample),
        ``median``, ``q1``, ``q3``, ``ci_low``, ``ci_high`` (bootstrap over patients) over the
        cases for which the metric is defined; ``n`` (those cases), ``n_empty`` (cases in which
        nothing was there and nothing found, left out), ``n_failed`` (cases with an empty or
        missing mask on one side: a ratio is 0 there and counted in ``n``, a distance is
        undefined), ``n_patients``, ``n_seeds``; ``mean_with_failures`` (undefined cases at the
        worst case); ``pooled`` (ratios: of the summed voxel counts, else NaN); ``seed_std``
        (sample std of the means of the seeds, NaN for one seed).

    Raises:
        ConfigError: The rows lack a column, or a failed case its worst case.
    """
    keys = present(rows, CELL) if by is None else by
    chosen = get_metric(metric)
    return pd.DataFrame(
        key | _line(group, chosen, level, seed) for key, group in groups(grade(rows, metric), keys)
    )


def _line(group: pd.DataFrame, metric: Metric, level: float, seed: int) -> dict[str, float]:
    per_case = group.groupby(["patient", "case"], sort=True).agg(
        value=("value", "mean"),
        filled=("value_with_failures", "mean"),
        empty=("empty", "all"),
        failed=("failed", "any"),
    )
    defined = per_case["value"].dropna()
    patients = defined.index.get_level_values("patient").to_numpy()
    low, high = bootstrap_interval(defined.to_numpy(), patients, level=level, seed=seed)
    q1, median, q3 = defined.quantile([0.25, 0.5, 0.75])
    return {
        "mean": defined.mean(),
        "std": defined.std(ddof=1),
        "median": median,
        "q1": q1,
        "q3": q3,
        "ci_low": low,
        "ci_high": high,
        "n": len(defined),
        "n_empty": int(per_case["empty"].sum()),
        "n_failed": int(per_case["failed"].sum()),
        "n_patients": len(np.unique(patients)),
        "n_seeds": group["seed"].nunique() if "seed" in group else 1,
        "mean_with_failures": per_case["filled"].mean(),
        "pooled": _pooled(group, metric),
        "seed_std": _seed_std(group),
    }


def _pooled(group: pd.DataFrame, metric: Metric) -> float:
    """The metric of the voxel counts of all cases together, averaged over organs."""
    if metric.derive is None or metric.direction is not Direction.HIGHER:
        return float("nan")
    organs = present(group, ["organ"])
    sums = group.groupby(organs)[_COUNTS].sum() if organs else group[_COUNTS].sum().to_frame().T
    sums = sums[sums["n_ref"] > 0]
    return float(metric.derive(sums).mean()) if len(sums) else float("nan")


def _seed_std(group: pd.DataFrame) -> float:
    if "seed" not in group:
        return float("nan")
    return float(group.groupby("seed")["value"].mean().std(ddof=1))


def _column(rows: pd.DataFrame, name: str) -> pd.Series[str]:
    return rows[name] if name in rows else pd.Series("", index=rows.index)


def _require_worst(rows: pd.DataFrame, metric: Metric, lacking: pd.Series[bool]) -> None:
    if lacking.any():
        case = rows.loc[lacking, "case"].iloc[0]
        raise ConfigError(
            f"case {case} failed, but its row does not hold what {metric.label} counts a failure "
            f"as ({metric.worst}); write diagonal_mm, n_ref and spacing for failed cases too"
        )
