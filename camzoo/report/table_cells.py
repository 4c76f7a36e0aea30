"""What stands in the cells of tables: numbers with their spread, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from camzoo.evaluate.rows import line_name
from camzoo.metrics.comparison import compare_to_best
from camzoo.metrics.definitions import get_metric
from camzoo.metrics.frames import groups
from camzoo.metrics.summary import summarise

#: Where there is no number.
NONE: Final = "n/a"
#: Metrics of volumes that every table shows.
SHOWN: Final = ("dsc", "asd_mm", "mad_mm")
#: What a difference has to reach to be believed.
LEVEL: Final = 0.05


def methods(rows: pd.DataFrame) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Yield for each method the cells that name it, and its rows."""
    for key, mine in groups(rows, ["method", "variant", "supervision"]):
        name = line_name(key["method"], key["variant"])
        yield {"method": name, "supervision": key["supervision"]}, mine


def comparison(rows: pd.DataFrame) -> dict[str, dict[str, str]]:
    """How sure the order is, by method as :func:`methods` calls it; empty for a single one.

    Holm-corrected p against the best, and how often each is first.
    """
    if rows["method"].nunique() < 2:
        return {}
    compared = compare_to_best(rows.drop(columns=["organ", "region"]), "dsc")
    enough = enough_patients(compared)
    return {
        line_name(line["method"], line["variant"]): {
            "p (Holm)": "best"
            if line["best"]
            else p_value(line["p_holm"])
            if enough
            else "too few",
            "first": f"{100 * line['p_first']:.0f} %",
        }
        for line in compared.to_dict("records")
    }


def p_value(p: float) -> str:
    """Three digits; none is ever shown as zero."""
    return f"{p:.3f}" if not p < 5e-4 else "< 0.001"


def enough_patients(compared: pd.DataFrame) -> bool:
    """Whether any difference could bring p below :data:`LEVEL`.

    The smallest p is 2 / 2^n of a Wilcoxon test, times the pairs that Holm counts.
    """
    patients, lines = int(compared["n_patients"].min()), len(compared)
    return bool(lines * (lines - 1) / 2 * 2 / 2**patients < LEVEL)


def summary(rows: pd.DataFrame, metric: str) -> Mapping[str, float]:
    """One line over all cases; organs of a case are averaged first."""
    line = summarise(rows, metric, ["method"]).iloc[0]
    return {str(name): value for name, value in line.items()}


def title(metric: str) -> str:
    """What the column of a metric is called: its name and unit."""
    chosen = get_metric(metric)
    return f"{chosen.label} ({chosen.unit or '%'})"


def measured(rows: pd.DataFrame, *names: str) -> dict[str, str]:
    """Mean ± sample standard deviation over cases, by title; of :data:`SHOWN` without ``names``."""
    return {
        title(name): spread(summary(rows, name), 1 if get_metric(name).unit else 100)
        for name in names or SHOWN
    }


def certainty(line: Mapping[str, float]) -> dict[str, str]:
    """How far a :func:`summary` may be trusted, in percent: over patients, and over seeds."""
    return {"95 % interval": interval(line), **over_seeds(line)}


def coverage(rows: pd.DataFrame, dsc: Mapping[str, float]) -> dict[str, str]:
    """How many volumes count, and what those that failed would cost; ``dsc`` sums them up."""
    return {
        "ASD with failures": number(summary(rows, "asd_mm")["mean_with_failures"]),
        "volumes": f"{int(dsc['n'])}",
        "nothing there": f"{int(dsc['n_empty'])}",
        "failed": f"{int(dsc['n_failed'])}",
    }


def number(value: float) -> str:
    """Two decimals."""
    return f"{value:.2f}" if np.isfinite(value) else NONE


def mean_std(values: pd.Series[float]) -> str:
    """Mean ± sample standard deviation; without the latter for a single value."""
    std = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
    return f"{values.mean():.2f}{std}"


def interval(line: Mapping[str, float] | pd.Series[Any]) -> str:
    """Confidence interval of a :func:`summary`, in percent."""
    if not np.isfinite(line["ci_low"]):  # a single patient has none
        return NONE
    return f"{100 * line['ci_low']:.1f} to {100 * line['ci_high']:.1f}"


def over_seeds(line: Mapping[str, float]) -> dict[str, str]:
    """Lowest and highest mean of a seed of a :func:`summary`, in percent; no cell for one seed."""
    if not np.isfinite(line["seed_low"]):
        return {}
    return {"seeds": f"{100 * line['seed_low']:.1f} to {100 * line['seed_high']:.1f}"}


def spread(line: Mapping[str, float] | pd.Series[Any], factor: float) -> str:
    """Mean ± sample standard deviation over cases of a :func:`summary`, times ``factor``."""
    if not np.isfinite(line["mean"]):
        return NONE
    std = f" ± {factor * line['std']:.2f}" if np.isfinite(line["std"]) else ""
    return f"{number(factor * line['mean'])}{std}"


def ranked(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """Lines in the order of their ``_rank``, which is dropped, then of their method.

    A cell that only other lines have is empty.
    """
    lines = sorted(lines, key=lambda line: (line["_rank"], line["method"]))
    return pd.DataFrame(lines).drop(columns="_rank").fillna("")
