"""Result rows, many cases, into one line per method: the numbers that tables print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camzoo.core.errors import ConfigError
from camzoo.metrics.base import CountMetric, Metric
from camzoo.metrics.definitions import get_metric
from camzoo.metrics.frames import numbered, present
from camzoo.metrics.grouped import mean_by
from camzoo.metrics.statistics import Interval, bootstrap_interval
from camzoo.metrics.status import Status

#: What a line of a table is about; cases, patients, seeds and folds are summarised over.
CELL: Final = (
    "dataset", "split", "backbone", "stage", "method", "variant", "supervision",
    "subset", "protocol", "organ", "region",
)  # fmt: skip
_COUNTS: Final = ["tp", "n_pred", "n_ref"]
_SIZES: Final = ("n_pred", "n_ref")
_SPREAD: Final = ("mean", "std", "median", "q1", "q3", "ci_low", "ci_high")


def grade(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Add to every row what the metric says, and what it says with failures at the worst case.

    Returns:
        The rows with the columns ``value`` (NaN where undefined or nothing was there to find; a
        missing prediction has that of an empty one),
        ``value_with_failures`` (NaN only where nothing was there to find), ``empty`` (nothing
        was there to find and nothing was found) and ``failed`` (a mask is empty or missing, or
        the status says so).

    Raises:
        ConfigError: A row has both masks but not the metric, or a failed one lacks what its worst
            case is made from.
    """
    chosen = get_metric(metric)
    n_pred, n_ref = (rows[name].to_numpy("float64", na_value=np.nan) for name in _SIZES)
    status = rows["status"] if "status" in rows else pd.Series(Status.OK.value, index=rows.index)
    empty = pd.Series((n_pred == 0) & (n_ref == 0), index=rows.index)
    fine = status.isna() | status.isin([Status.OK, Status.EMPTY_BOTH])
    failed = ~empty & ~(fine & (n_pred > 0) & (n_ref > 0))
    if chosen.undefined_without_slices:
        failed |= ~empty & (rows["slices"] == 0)
    missing = np.isnan(n_pred) | (status == Status.MISSING)
    nothing = np.nan if isinstance(chosen.one_empty, str) else chosen.one_empty
    value = chosen.values(rows).replace([np.inf, -np.inf], np.nan).where(~missing, nothing)
    value = value.where(~empty)
    _require(rows, ~(empty | failed) & value.isna(), f"was not measured ({metric})")
    filled = value.where(empty | value.notna(), chosen.worst_of(rows))
    lack = f"failed, but lacks what {chosen.label} counts a failure as ({chosen.worst})"
    _require(rows, filled.isna() & ~empty, lack)
    return rows.assign(value=value, value_with_failures=filled, empty=empty, failed=failed)


def summarise(
    rows: pd.DataFrame,
    metric: str,
    by: Sequence[str] | None = None,
    *,
    level: float | None = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Summarise a metric over cases.

    Rows of one case in one group (training seeds; organs, where ``by`` leaves them out) are
    averaged first, so that the spread is the spread over cases. What seeds add stands apart in
    ``seed_std``.

    Args:
        rows: Result rows.
        metric: Name of a metric (``camzoo list metrics``).
        by: Columns that make a group; those of :data:`CELL` that the rows have, when left out.
        level: Level of the confidence interval; without one, no interval is drawn.
        seed: Seed of the bootstrap.

    Returns:
        A row per group, sorted: the columns of ``by``, then ``mean``, ``std`` (sample),
        ``median``, ``q1``, ``q3``, ``ci_low``, ``ci_high`` (bootstrap over patients) over the
        cases for which the metric is defined; ``n`` (those cases), ``n_empty`` (cases in which
        nothing was there and nothing found, left out), ``n_failed`` (cases with an empty or
        missing mask on one side: a ratio is 0 there and counted in ``n``, a distance is
        undefined), ``n_patients``, ``n_seeds``; ``mean_with_failures`` (undefined cases at the
        worst case); ``pooled`` (ratios: of the summed voxel counts, else NaN); ``seed_std``
        (sample std of the means of the seeds, NaN for one seed), ``seed_low`` and ``seed_high``
        (the lowest and the highest of them).

    Raises:
        ConfigError: The rows lack a column, a case its number, or a failed case its worst case.
    """
    graded = grade(rows, metric)
    group, lines = numbered(graded, present(rows, CELL) if by is None else by)
    unit, units = numbered(graded, ["patient", "case"])
    _, first, case = np.unique(group * len(units) + unit, return_index=True, return_inverse=True)
    per_case: dict[str, NDArray[Any]] = {
        name: mean_by(case, graded[name].to_numpy(dtype=np.float64), len(first))
        for name in ("value", "value_with_failures", "empty", "failed")
    }
    per_case["patient"] = numbered(graded, ["patient"])[0][first]
    ends = np.searchsorted(group[first], range(len(lines) + 1))
    numbers = [
        _line({name: of[start:end] for name, of in per_case.items()}, level, seed)
        for start, end in pairwise(ends)
    ]
    return pd.concat(
        [
            lines,
            pd.DataFrame(numbers),
            _pooled(rows, group, get_metric(metric)).reindex(lines.index),
            _over_seeds(graded, group).reindex(lines.index),
        ],
        axis=1,
    )


def _line(per_case: Mapping[str, NDArray[Any]], level: float | None, seed: int) -> dict[str, float]:
    """The numbers of one group, from those of its cases."""
    defined = ~np.isnan(per_case["value"])
    patients = per_case["patient"][defined]
    return {
        **_spread(per_case["value"][defined], patients, level, seed),
        "n_empty": int(np.count_nonzero(per_case["empty"] == 1)),
        "n_failed": int(np.count_nonzero(per_case["failed"])),
        "n_patients": len(np.unique(patients)),
        "mean_with_failures": _mean(per_case["value_with_failures"]),
    }


def _spread(
    values: NDArray[np.float64], patients: NDArray[Any], level: float | None, seed: int
) -> dict[str, float]:
    if not values.size:
        return {**dict.fromkeys(_SPREAD, float("nan")), "n": 0}
    q1, median, q3 = np.percentile(values, [25, 50, 75])
    std = values.std(ddof=1) if len(values) > 1 else float("nan")
    low, high = Interval(np.nan, np.nan)
    if level is not None:
        low, high = bootstrap_interval(values, patients, level=level, seed=seed)
    numbers = (values.mean(), std, median, q1, q3, low, high)
    return {**dict(zip(_SPREAD, map(float, numbers), strict=True)), "n": len(values)}


def _mean(values: NDArray[np.float64]) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")


def _pooled(rows: pd.DataFrame, group: NDArray[np.intp], metric: Metric) -> pd.Series[float]:
    """The ratio of the voxel counts of all cases together, averaged over organs that are there.

    A missing prediction counts as one without voxels.
    """
    if not isinstance(metric, CountMetric) or not metric.pooled:
        return pd.Series(name="pooled", dtype="float64")
    counts = {
        name: np.nan_to_num(rows[name].to_numpy("float64", na_value=np.nan)) for name in _COUNTS
    }
    organ, _ = numbered(rows, present(rows, ["organ"]))
    sums = pd.DataFrame(counts).groupby([group, organ]).sum()
    found: pd.Series[float] = metric.derive(sums[sums["n_ref"] > 0]).groupby(level=0).mean()
    return found.rename("pooled")


def _over_seeds(graded: pd.DataFrame, group: NDArray[np.intp]) -> pd.DataFrame:
    """How many seeds a group has, and how far their means lie apart; NaN for one seed."""
    seeds = graded["seed"] if "seed" in graded else pd.Series(0, index=graded.index)
    means = graded["value"].groupby([group, seeds.to_numpy()]).mean().groupby(level=0)
    apart = means.agg(seed_std="std", seed_low="min", seed_high="max")
    n_seeds = means.size()
    found: pd.DataFrame = apart.where(n_seeds > 1).assign(n_seeds=n_seeds)
    return found


def _require(rows: pd.DataFrame, lacking: pd.Series[bool], what: str) -> None:
    if lacking.any():
        row = rows[lacking].iloc[0]
        names = present(rows, ("method", "case", "organ", "region"))
        where = ", ".join(f"{name} {row[name]}" for name in names)
        raise ConfigError(f"{where}: {what}; score it again, or leave such rows out")
