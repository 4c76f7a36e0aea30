"""The numbers of a run or a scoring as JSON has them: a line per method, subset and protocol."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from camzoo.metrics.subregions import WHOLE
from camzoo.metrics.summary import summarise
from camzoo.report.further import further_metrics

_BY: Final = ["stage", "subset", "method", "variant", "supervision", "protocol"]
_METRICS: Final = ("dsc", "asd_mm", "mad_mm")
#: Of what :func:`camzoo.metrics.summary.summarise` gives.
_KEPT: Final = ("mean", "std", "ci_low", "ci_high", "mean_with_failures")
_COUNTS: Final = ("n", "n_failed")


def numbers(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Summarise result rows of whole organs; distances in mm, DSC between 0 and 1.

    Args:
        rows: Result rows (:mod:`camzoo.evaluate.rows`).

    Returns:
        Records with what a line is about, and per metric its mean, deviation, interval, mean with
        failures, and counts.
    """
    whole = rows[rows["region"] == WHOLE]
    by = [column for column in _BY if column in whole and whole[column].notna().all()]
    metrics = [*_METRICS, *further_metrics(whole)]
    parts = {metric: summarise(whole, metric, by).set_index(by) for metric in metrics}
    lines = []
    for key in parts["dsc"].index:
        names = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        lines.append(names | {m: _line(part.loc[key]) for m, part in parts.items()})
    return lines


def _line(summary: pd.Series[Any]) -> dict[str, float | int]:
    counts = {name: int(summary[name]) for name in _COUNTS}
    return {name: float(summary[name]) for name in _KEPT} | counts
