"""The ranking of a scoring, as text: one table per protocol and the words they use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from camzoo.core.protocol import Protocol
from camzoo.evaluate.score_options import GIVEN, PROTOCOLS
from camzoo.metrics.comparison import compare_to_best
from camzoo.metrics.definitions import get_metric
from camzoo.metrics.protocols import add_optimism_gap
from camzoo.metrics.subregions import WHOLE
from camzoo.metrics.summary import summarise
from camzoo.report.cells import p_value, spread
from camzoo.report.escaping import escape
from camzoo.report.further import defined, further_metrics, title
from camzoo.report.markdown import table as markdown

_SHOWN: Final = ("dsc", "asd_mm", "mad_mm", "hd95_mm")


def ranking(
    rows: pd.DataFrame, protocol: str, region: str = WHOLE, more: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the methods under one protocol, best DSC (failures counted) first, as text.

    Organs of a case are averaged first. ``p (Holm)`` and ``first`` compare with the best.

    Args:
        rows: From :func:`camzoo.evaluate.scoring.score`.
        protocol: One that the rows hold.
        region: Whole, apex, mid or base.
        more: Metrics to show besides DSC, ASD, MAD, HD95 and those of plug-ins.
    """
    here = rows[rows["region"] == region]
    lines = add_optimism_gap(summarise(here, "dsc", ["method", "protocol"]))
    lines = lines[lines["protocol"] == protocol].set_index("method")
    mine = here[here["protocol"] == protocol]
    metrics = shown(mine, more)[1:]
    others = {m: summarise(mine, m, ["method"]).set_index("method") for m in metrics}
    sure = compare_to_best(mine.drop(columns=["organ", "region", "variant"]), "dsc")
    sure = sure.set_index("method")
    ranked = lines.sort_values("mean_with_failures", ascending=False, kind="stable").index
    table = pd.DataFrame(
        {
            "rank": position,
            "method": name,
            **_overlap_cells(lines.loc[name]),
            **{title(m): spread(line.loc[name], 1) for m, line in others.items()},
            "ASD with failures": _number(others["asd_mm"].loc[name, "mean_with_failures"]),
            **{c: f"{lines.loc[name, f'n{s}']:.0f}" for c, s in _COVERAGE.items()},
            "p (Holm)": "best" if sure.loc[name, "best"] else p_value(sure.loc[name, "p_holm"]),
            "first": f"{100 * sure.loc[name, 'p_first']:.0f} %",
        }
        for position, name in enumerate(ranked, start=1)
    )
    return table.drop(columns="gap") if protocol == GIVEN else table


def shown(rows: pd.DataFrame, more: Sequence[str] = ()) -> list[str]:
    """Return the metrics that tables of these rows have, DSC first."""
    return list(dict.fromkeys([*_SHOWN, *further_metrics(rows), *more]))


_COVERAGE: Final = {"cases": "", "empty": "_empty", "failed": "_failed"}


def page(rows: pd.DataFrame, notes: Sequence[str] = (), more: Sequence[str] = ()) -> str:
    """Return all rankings as markdown, with the definitions of what they show."""
    title = f"# Scores on {escape(rows['dataset'].iloc[0])}\n"
    parts = [title, *(f"- {escape(note)}" for note in notes)]
    for protocol in protocols(rows):
        for region in dict.fromkeys([WHOLE, *rows["region"]]):
            heading = f"{protocol}" if region == WHOLE else f"{protocol}, {region}"
            part = rows[(rows["protocol"] == protocol) & (rows["region"] == region)]
            if len(part):
                parts.append(f"\n## {heading}\n\n{markdown(ranking(rows, protocol, region, more))}")
    return "\n".join([*parts, f"\n## What the words mean\n\n{definitions(rows, more)}"])


def protocols(rows: pd.DataFrame) -> list[str]:
    """Return the protocols of the rows, in the order in which they are believed."""
    there = set(rows["protocol"])
    return [name for name in (GIVEN, *PROTOCOLS) if name in there]


def definitions(rows: pd.DataFrame, more: Sequence[str] = ()) -> str:
    """Say what each protocol and metric of the tables means, a line each."""
    known = {p.value: p.meaning for p in Protocol}
    lines = [f"- {name}: {known[name]}" for name in protocols(rows) if name in known]
    lines += [f"- {defined(get_metric(name))}" for name in shown(rows, more)]
    lines.append(
        "- p (Holm): paired Wilcoxon test over patients against the best, corrected over all "
        "pairs; first: how often a method is best when patients are resampled"
    )
    return "\n".join(lines) + "\n"


def _overlap_cells(line: pd.Series[Any]) -> dict[str, str]:
    return {
        "DSC (%)": spread(line, 100),
        "95 % interval": f"{100 * line['ci_low']:.1f} to {100 * line['ci_high']:.1f}",
        "pooled DSC (%)": _number(100 * line["pooled"]),
        "gap": _number(100 * line["optimism_gap"]),
    }


def _number(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.2f}"
