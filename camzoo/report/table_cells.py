"""What stands in the cells of tables: numbers with their spread, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from camzoo.evaluate.rows import line_name
from camzoo.metrics.comparison import compare_to_best
from camzoo.metrics.definitions import get_metric
from camzoo.metrics.frames import groups
from camzoo.metrics.summary import summarise

#: Columns that make a line of a table.
LINE: Final = ("method", "variant", "supervision")
#: What :func:`camzoo.metrics.summary.summarise` says of one line, by metric.
Summaries = Mapping[str, Mapping[str, Any]]
#: Where there is no number.
NONE: Final = "n/a"
#: In the place of an organ.
EVERY_ORGAN: Final = "mean of organs"
#: Metrics of volumes that every table shows.
SHOWN: Final = ("dsc", "asd_mm", "mad_mm")
#: What a difference has to reach to be believed.
LEVEL: Final = 0.05
#: Level of confidence intervals.
CERTAIN: Final = 0.95


def methods(rows: pd.DataFrame) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Yield for each method the cells that name it, and its rows."""
    for key, mine in groups(rows, LINE):
        yield named(key), mine


def named(key: Mapping[str, Any]) -> dict[str, str]:
    """The cells that name a method."""
    return {
        "method": line_name(key["method"], key["variant"]),
        "supervision": key["supervision"],
    }


def summaries(
    rows: pd.DataFrame, metrics: Iterable[str], by: Sequence[str] = (), *, sure: str = ""
) -> list[tuple[dict[str, Any], Summaries]]:
    """Sum up metrics for each method, and value of ``by``, over cases.

    Organs of a case are averaged first. All methods are summed up at once.

    Args:
        rows: Of one table.
        metrics: Their names.
        by: More columns that tell lines apart.
        sure: The metric whose interval is drawn, if any: that takes most of the time.

    Returns:
        Cells that name the line, with its values of ``by``; and its numbers by metric.
    """
    keys = [*LINE, *by]
    found = {
        name: summarise(rows, name, keys, level=CERTAIN if name == sure else None)
        for name in metrics
    }
    lines = zip(*(frame.to_dict("records") for frame in found.values()), strict=True)
    return [
        (
            named(line[0]) | {name: line[0][name] for name in by},
            dict(zip(found, line, strict=True)),
        )
        for line in lines
    ]


def compare(rows: pd.DataFrame, metric: str = "dsc") -> pd.DataFrame | None:
    """Compare the lines of one table with the best of them; None for a single one.

    Args:
        rows: Of lines that all have the same cases.
        metric: What is compared.
    """
    if rows.groupby(["method", "variant"], observed=True, dropna=False).ngroups < 2:
        return None
    one = rows.drop(columns=["organ", "region", "backbone", "split"], errors="ignore")
    return compare_to_best(one, metric)


def comparison(rows: pd.DataFrame) -> dict[str, dict[str, str]]:
    """How sure the order by DSC is, by method (:func:`certain_order`)."""
    compared = compare(rows)
    return {} if compared is None else certain_order(compared)


def certain_order(compared: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Holm-corrected p against the best, and how often each is first, by method."""
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


def alike(compared: pd.DataFrame) -> pd.DataFrame:
    """Lines of a comparison that the test cannot tell from the best."""
    others = compared[~compared["best"]]
    return others[~(others["p_holm"] < LEVEL)]


def winner(compared: pd.DataFrame | None) -> str | None:
    """The method that is surely better than all others of a table; None where there is none."""
    if compared is None or len(alike(compared)):
        return None
    best = compared[compared["best"]].iloc[0]
    return line_name(best["method"], best["variant"])


def p_value(p: float) -> str:
    """Three digits; none is ever shown as zero."""
    return f"{p:.3f}" if not p < 5e-4 else "< 0.001"


def enough_patients(compared: pd.DataFrame) -> bool:
    """Whether any difference could bring p below :data:`LEVEL`.

    The smallest p is 2 / 2^n of a Wilcoxon test, times the pairs that Holm counts.
    """
    patients, lines = int(compared["n_patients"].min()), len(compared)
    return bool(lines * (lines - 1) / 2 * 2 / 2**patients < LEVEL)


def title(metric: str) -> str:
    """What the column of a metric is called: its name and unit."""
    chosen = get_metric(metric)
    return f"{chosen.label} ({chosen.unit or '%'})"


def measured(numbers: Summaries, *names: str) -> dict[str, str]:
    """Mean ± sample standard deviation over cases, by title; of :data:`SHOWN` without ``names``."""
    return {
        title(name): spread(numbers[name], 1 if get_metric(name).unit else 100)
        for name in names or SHOWN
    }


def certainty(line: Mapping[str, float]) -> dict[str, str]:
    """How far a line may be trusted, in percent: over patients, and over seeds."""
    return {"95 % interval": interval(line), **over_seeds(line)}


def coverage(numbers: Summaries) -> dict[str, str]:
    """How many volumes count, and what those that failed would cost."""
    dsc = numbers["dsc"]
    return {
        "ASD with failures": number(numbers["asd_mm"]["mean_with_failures"]),
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
    """Confidence interval of a line, in percent."""
    if not np.isfinite(line["ci_low"]):  # a single patient has none
        return NONE
    return f"{100 * line['ci_low']:.1f} to {100 * line['ci_high']:.1f}"


def over_seeds(line: Mapping[str, float]) -> dict[str, str]:
    """Lowest and highest mean of a seed, in percent; no cell for one seed."""
    if not np.isfinite(line["seed_low"]):
        return {}
    return {"seeds": f"{100 * line['seed_low']:.1f} to {100 * line['seed_high']:.1f}"}


def spread(line: Mapping[Any, Any], factor: float) -> str:
    """Mean ± sample standard deviation over cases, times ``factor``."""
    if not np.isfinite(line["mean"]):
        return NONE
    std = f" ± {factor * line['std']:.2f}" if np.isfinite(line["std"]) else ""
    return f"{number(factor * line['mean'])}{std}"


def threshold_range(low: float, high: float) -> str:
    """The lowest and the highest threshold of a line; nothing where it has none."""
    if not np.isfinite(low):
        return ""
    return f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"


def ranked(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """Lines in the order of their ``_rank``, which is dropped, then of their method.

    A cell that only other lines have is empty.
    """
    lines = sorted(lines, key=lambda line: (line["_rank"], line["method"]))
    return pd.DataFrame(lines).drop(columns="_rank").fillna("")
