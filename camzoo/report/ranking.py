"""The ranking of a scoring, as text: one table per protocol and the words they use."""

from __future__ import annotations

from typing import Final

import pandas as pd

from camzoo.core.protocol import Protocol
from camzoo.evaluate.score_options import GIVEN, PROTOCOLS
from camzoo.metrics.subregions import WHOLE
from camzoo.report.cells import (
    SHOWN,
    certainty,
    comparison,
    coverage,
    measured,
    methods,
    number,
    ranked,
    summary,
)
from camzoo.report.escaping import escape
from camzoo.report.markdown import table as markdown
from camzoo.report.words import meanings

_DISTANCES: Final = ("asd_mm", "mad_mm", "hd95_mm")


def ranking(rows: pd.DataFrame, protocol: str, region: str = WHOLE) -> pd.DataFrame:
    """Return the methods under one protocol, best DSC (failures counted) first, as text.

    Organs of a case are averaged first. ``p (Holm)`` and ``first`` compare with the best.

    Args:
        rows: From :func:`camzoo.evaluate.scoring.score`.
        protocol: One that the rows hold.
        region: Whole, apex, mid or base.
    """
    rows = rows[rows["region"] == region].assign(variant="", supervision="")
    mine = rows[rows["protocol"] == protocol]
    order = comparison(mine)
    best = rows[rows["protocol"] == Protocol.ORACLE.value]
    lines = []
    for line, part in methods(mine):
        dsc = summary(part, "dsc")
        lines.append(
            {"method": line["method"]}
            | measured(part, "dsc")
            | certainty(dsc)
            | {"pooled DSC (%)": number(100 * dsc["pooled"])}
            | _gap(best[best["method"] == line["method"]], dsc["mean"])
            | measured(part, *_DISTANCES)
            | coverage(part, dsc)
            | order.get(line["method"], {})
            | {"_rank": -dsc["mean_with_failures"]}
        )
    table = ranked(lines)
    table.insert(0, "rank", range(1, len(table) + 1))
    return table


def _gap(best: pd.DataFrame, mean: float) -> dict[str, str]:
    """How much better the oracle looks; no cell for masks, which have none."""
    return {"gap": number(100 * (summary(best, "dsc")["mean"] - mean))} if len(best) else {}


def page(rows: pd.DataFrame, notes: tuple[str, ...] = ()) -> str:
    """Return all rankings as markdown, with the definitions of what they show."""
    title = f"# Scores on {escape(rows['dataset'].iloc[0])}\n"
    parts = [title, *(f"- {escape(note)}" for note in notes)]
    for protocol in protocols(rows):
        for region in dict.fromkeys([WHOLE, *rows["region"]]):
            heading = f"{protocol}" if region == WHOLE else f"{protocol}, {region}"
            part = rows[(rows["protocol"] == protocol) & (rows["region"] == region)]
            if len(part):
                parts.append(f"\n## {heading}\n\n{markdown(ranking(rows, protocol, region))}")
    return "\n".join([*parts, f"\n## What the words mean\n\n{definitions(rows)}"])


def protocols(rows: pd.DataFrame) -> list[str]:
    """Return the protocols of the rows, in the order in which they are believed."""
    there = set(rows["protocol"])
    return [name for name in (GIVEN, *PROTOCOLS) if name in there]


def definitions(rows: pd.DataFrame) -> str:
    """Say what the words of the tables mean, a line each."""
    named = protocols(rows)
    no_gap = ("gap",) if named == [GIVEN] else ()
    return meanings(named, dict.fromkeys((*SHOWN, *_DISTANCES)), without=("seeds", *no_gap))
