"""Which ranks each method may have, by each metric, and how far rankings agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from camzoo.evaluate.rows import line_name, line_names
from camzoo.metrics.comparison import paired_values
from camzoo.metrics.definitions import get_metric
from camzoo.metrics.ranked_rows import PODIUM_COLUMNS, rank_intervals, significance
from camzoo.metrics.ranking_schemes import SCHEMES
from camzoo.metrics.statistics import kendall_tau
from camzoo.report.contenders import contenders, of_protocol
from camzoo.report.merged import Merged

#: Metrics that pages rank by.
ASKED: Final = ("dsc", "asd_mm", "mad_mm")


def rankings(merged: Merged) -> dict[str, pd.DataFrame]:
    """Return the rows that are ranked, maps at the headline's protocol, by what they are.

    What has no two methods is left out.
    """
    found = {what: of_protocol(rows) for what, rows in contenders(merged).items()}
    return {what: rows for what, rows in found.items() if _methods(rows) > 1}


def rank_table(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """A line per method: rank, its interval and the chance of the podium by each metric, as text.

    Methods stand in the order of the first metric.
    """
    found = {name: ranks_of(rows, name) for name in metrics}
    columns: dict[str, pd.Series[str]] = {}
    for name, ranks in found.items():
        label = get_metric(name).label
        columns[label] = ranks.apply(_interval, axis=1)
        shares = ranks[PODIUM_COLUMNS[-1]]
        columns[f"{label}: first three"] = shares.map(lambda share: f"{100 * share:.0f} %")
    order = found[metrics[0]]["rank"].sort_values(kind="stable").index
    return pd.DataFrame(columns).loc[order].rename_axis("method").reset_index()


def agreement_table(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Kendall's tau of each metric's ranking with those of other metrics and other schemes."""
    scores = {name: _scores(rows, name) for name in metrics}
    means = {name: table.mean() for name, table in scores.items()}
    return pd.DataFrame(
        [
            {"ranking": get_metric(name).label}
            | {get_metric(other).label: tau_text(means[name], means[other]) for other in metrics}
            | {
                scheme: tau_text(means[name], -rank(scores[name].to_numpy()))
                for scheme, rank in list(SCHEMES.items())[1:]
            }
            for name in metrics
        ]
    )


def rank_record(rows: pd.DataFrame, metrics: Sequence[str]) -> dict[str, Any]:
    """The same for programs, with the p-values of all pairs, and ranks by every scheme."""
    found = {}
    for name in metrics:
        scores, p = _scores(rows, name), significance(_table(rows), name)
        found[name] = {
            "methods": ranks_of(rows, name).to_dict("index"),
            "schemes": {
                scheme: dict(zip(scores.columns, map(int, rank(scores.to_numpy())), strict=True))
                for scheme, rank in SCHEMES.items()
            },
            "p": {"methods": list(p.columns), "values": p.to_numpy().tolist()},
        }
    return found


def ranks_of(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return rank intervals and chances of the podium by method, as tables call it."""
    ranks = rank_intervals(_table(rows), metric)
    numbers = ["mean", "rank", "rank_low", "rank_high", *PODIUM_COLUMNS]
    return ranks[numbers].set_axis(line_names(ranks))


def _interval(line: pd.Series[Any]) -> str:
    return f"{line['rank']:.0f} ({line['rank_low']:.0f} to {line['rank_high']:.0f})"


def _scores(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Values of each case and method, turned so that higher is better."""
    wide = paired_values(rows, metric).apply(get_metric(metric).goodness)
    wide.columns = pd.Index([line_name(*map(str, key)) for key in wide.columns], name="method")
    return wide


def tau_text(one: Any, other: Any) -> str:
    """Return Kendall's tau as text; n/a where a ranking is all ties."""
    tau = kendall_tau(one, other)
    return "n/a" if math.isnan(tau) else f"{tau:.2f}"


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows as one table: organs of a case are averaged."""
    return rows.drop(columns=["organ", "region"])


def _methods(rows: pd.DataFrame) -> int:
    return rows[["method", "variant"]].drop_duplicates().shape[0]
