"""The ranking of a scoring, as text: one table per protocol and the words they use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pandas as pd

from camzoo.core.protocol import Protocol
from camzoo.core.text import plain
from camzoo.evaluate.score_options import GIVEN, PROTOCOLS
from camzoo.metrics.subregions import WHOLE
from camzoo.report.escaping import escape
from camzoo.report.further import further_metrics, heading
from camzoo.report.markdown import table as markdown
from camzoo.report.table_cells import (
    SHOWN,
    certainty,
    comparison,
    coverage,
    measured,
    number,
    ranked,
    spread,
    summaries,
)
from camzoo.report.words import meanings

_DISTANCES: Final = ("asd_mm", "mad_mm", "hd95_mm")


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
    rows = rows[rows["region"] == region].assign(variant="", supervision="")
    mine = rows[rows["protocol"] == protocol]
    order = comparison(mine)
    others = others_shown(mine, more)
    best = {
        line["method"]: numbers["dsc"]["mean"]
        for line, numbers in summaries(rows[rows["protocol"] == Protocol.ORACLE.value], ["dsc"])
    }
    lines = []
    for line, numbers in summaries(mine, ["dsc", *_DISTANCES, *others], sure="dsc"):
        dsc = numbers["dsc"]
        lines.append(
            {"method": line["method"]}
            | measured(numbers, "dsc")
            | certainty(dsc)
            | {"pooled DSC (%)": number(100 * dsc["pooled"])}
            | _gap(best.get(line["method"]), dsc["mean"])
            | measured(numbers, *_DISTANCES)
            | {heading(name): spread(numbers[name], 1) for name in others}
            | coverage(numbers)
            | order.get(line["method"], {})
            | {"_rank": -dsc["mean_with_failures"]}
        )
    table = ranked(lines)
    table.insert(0, "rank", range(1, len(table) + 1))
    return table


def _gap(best: float | None, mean: float) -> dict[str, str]:
    """How much better the oracle looks; no cell for masks, which have none."""
    return {} if best is None else {"gap": number(100 * (best - mean))}


def others_shown(rows: pd.DataFrame, more: Sequence[str] = ()) -> list[str]:
    """Return the metrics that tables show besides DSC and distances: of plug-ins, and ``more``."""
    usual = {*SHOWN, *_DISTANCES}
    return [n for n in dict.fromkeys([*further_metrics(rows), *more]) if n not in usual]


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
    return "\n".join([*parts, f"\n## What the words mean\n\n{definitions(rows, more, escape)}"])


def protocols(rows: pd.DataFrame) -> list[str]:
    """Return the protocols of the rows, in the order in which they are believed."""
    there = set(rows["protocol"])
    return [name for name in (GIVEN, *PROTOCOLS) if name in there]


def definitions(
    rows: pd.DataFrame, more: Sequence[str] = (), foreign: Callable[[str], str] = plain
) -> str:
    """Say what the words of the tables mean, a line each (:func:`meanings`)."""
    named = protocols(rows)
    no_gap = ("gap",) if named == [GIVEN] else ()
    metrics = dict.fromkeys((*SHOWN, *_DISTANCES, *others_shown(rows, more)))
    return meanings(named, metrics, without=("seeds", *no_gap), foreign=foreign)
