"""The ladder of protocols: what each way of scoring in the literature adds, and who wins by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from camzoo.core.choices import SplitKind
from camzoo.core.errors import ConfigError
from camzoo.evaluate.rows import line_name
from camzoo.metrics.ladder import RUNGS, Rung, distances
from camzoo.report.contenders import contenders, of_protocol
from camzoo.report.merged import Merged, merge
from camzoo.report.ranks import tau_text
from camzoo.report.records import Record
from camzoo.report.table_cells import LINE, NONE
from camzoo.report.tables import HEADLINE

#: Settings that say which rows a run has, not what is in them.
_WHICH: Final = ("methods", "baselines")


@dataclass(frozen=True)
class Ladder:
    """Scores of the same predictions by each way of scoring.

    Attributes:
        what: Maps, or volumes that baselines segmented (:mod:`camzoo.report.contenders`).
        dsc: In percent, a row per line and a column per rung that the rows suffice for, the first
            being camzoo's own way.
        asd: A row per line and a column per way of measuring the ASD, in its unit.
    """

    what: str
    dsc: pd.DataFrame
    asd: pd.DataFrame


def ladders(record: Record, others: Iterable[Record] = ()) -> list[Ladder]:
    """Score the test patients of a run in every way of :data:`camzoo.metrics.ladder.RUNGS`.

    Args:
        record: The run, split by patient.
        others: Runs among which the same one split by volume is looked for.

    Returns:
        That of maps and that of segmented volumes, where the run has them.
    """
    if _split(record) != SplitKind.PATIENT.value:
        return []
    return _ladders(merge([record]), [twin for twin in others if _is_twin(record, twin)][:1])


def ladders_together(merged: Merged) -> list[Ladder]:
    """Likewise of all runs on one data set that are split by patient, as one."""
    records = merged.records
    patient = [r for r in records if _split(r) == SplitKind.PATIENT.value]
    twins = [other for other in records if any(_is_twin(record, other) for record in patient)]
    if not patient:
        return []
    return _ladders(merged if len(patient) == len(records) else merge(patient), twins)


def _ladders(merged: Merged, twins: Sequence[Record]) -> list[Ladder]:
    found = []
    by_volumes = contenders(merge(twins)) if twins else {}
    for what, rows in contenders(merged).items():
        by_volume = by_volumes.get(what)
        columns = {rung.name: _score(rung, rows, by_volume) for rung in RUNGS}
        known = {
            name: 100 * column
            for name, column in columns.items()
            if column is not None and column.notna().any()
        }
        asd = distances(of_protocol(rows, HEADLINE), LINE)
        found.append(Ladder(what, _frame(known), _frame(asd)))
    return found


def ladders_of(records: Sequence[Record]) -> dict[str, list[Ladder]]:
    """Return the ladders of all runs that are split by patient, by run.

    Raises:
        ConfigError: There are none.
    """
    found = {record.run: ladders(record, records) for record in records}
    found = {run: mine for run, mine in found.items() if mine}
    if not found:
        raise ConfigError(
            "the ladder starts from a run that is split by patient and has rows of test patients; "
            f"{', '.join(record.run for record in records)} is none"
        )
    return found


def ladder_table(ladder: Ladder, *, lacking: bool = True) -> pd.DataFrame:
    """A line per rung: what it adds over all methods, and who is the best by it, as text.

    Args:
        ladder: The scores.
        lacking: Whether rungs that the rows do not suffice for have a line, too.
    """
    own = ladder.dsc.iloc[:, 0]
    lines = []
    for rung in RUNGS:
        if rung.name not in ladder.dsc and not lacking:
            continue
        if rung.name not in ladder.dsc:
            lines.append({"way of scoring": rung.name, "what it does": rung.does, "adds": NONE})
            continue
        scores = ladder.dsc[rung.name]
        scores = scores[own.notna()].dropna()
        more = scores - own[scores.index]
        lines.append(
            {
                "way of scoring": rung.name,
                "what it does": rung.does,
                "adds": f"{more.mean():+.2f}",
                "least to most": f"{more.min():+.2f} to {more.max():+.2f}",
                "mean": f"{scores.mean():.2f}{_of(len(scores), own.count())}",
                **_winner(scores, own[scores.index], best_is_highest=True),
            }
        )
    return pd.DataFrame(lines).fillna("")


def distance_table(ladder: Ladder) -> pd.DataFrame:
    """A line per way of measuring the ASD; ways of other units are compared by their order."""
    own = ladder.asd.iloc[:, 0]
    return pd.DataFrame(
        [
            {"way of measuring": name, "mean": f"{values.mean():.2f}"}
            | _winner(values, own, best_is_highest=False)
            for name, values in ladder.asd.items()
        ]
    )


def method_table(ladder: Ladder) -> pd.DataFrame:
    """A line per method: its DSC, and what each rung adds to it, best first, as text."""
    own, *rest = ladder.dsc.columns
    order = ladder.dsc.sort_values(own, ascending=False, kind="stable")
    return pd.DataFrame(
        [
            {"method": name, own: f"{scores[own]:.2f}"}
            | {rung: f"{scores[rung] - scores[own]:+.2f}" for rung in rest}
            for name, scores in order.iterrows()
        ]
    )


def ladder_record(ladder: Ladder) -> dict[str, Any]:
    """The numbers of a ladder for programs: DSC in percent, by way and method."""
    meanings = {rung.name: rung.does for rung in RUNGS}
    return {
        "what": ladder.what,
        "dsc": {
            str(name): {"does": meanings[str(name)], "methods": column.to_dict()}
            for name, column in ladder.dsc.items()
        },
        "asd": {str(name): column.to_dict() for name, column in ladder.asd.items()},
    }


def _of(some: int, every: int) -> str:
    """Over how many methods a mean runs, where it is not over all."""
    return f" ({some} of {every} methods)" if some < every else ""


def _winner(
    scores: pd.Series[float], own: pd.Series[float], *, best_is_highest: bool
) -> dict[str, str]:
    """The best method, how the order agrees with camzoo's own, and how far a method moves in it."""
    both = scores.notna() & own.notna()
    ranks = [x[both].rank(method="min", ascending=not best_is_highest) for x in (scores, own)]
    best = str(scores.idxmax() if best_is_highest else scores.idxmin())
    change = ranks[0] - ranks[1]
    return {
        "best": f"{best} ({scores[best]:.2f})",
        "tau": tau_text(*(rank.to_numpy() for rank in ranks)),
        "places moved": f"{int(change.abs().max())} ({change.abs().idxmax()})"
        if change.any()
        else "0",
    }


def _score(
    rung: Rung, rows: pd.DataFrame, by_volume: pd.DataFrame | None
) -> pd.Series[float] | None:
    if rung.by_volume:
        if by_volume is None:
            return None
        rows = by_volume
    mine = of_protocol(rows, rung.protocol or HEADLINE)
    return rung.score(mine, LINE) if len(mine) else None


def _frame(columns: dict[str, pd.Series[float]]) -> pd.DataFrame:
    """Columns by line, called as tables call it; lines that the first lacks are left out."""
    frame = pd.DataFrame(columns)
    frame = frame[frame.iloc[:, 0].notna()]
    frame.index = pd.Index(
        [line_name(str(key[0]), str(key[1])) for key in frame.index], name="method"
    )
    return frame


def _is_twin(record: Record, other: Record) -> bool:
    """Whether ``other`` is the same run, split by volume."""
    return (
        _split(other) == SplitKind.PAPER_LIKE.value
        and other.dataset == record.dataset
        and _settings(other) == _settings(record)
    )


def _split(record: Record) -> str:
    return record.manifest["config"]["data"]["split"]


def _settings(record: Record) -> dict[str, Any]:
    config: dict[str, Any] = dict(record.manifest["config"])
    data = {name: value for name, value in config["data"].items() if name != "split"}
    return {name: v for name, v in config.items() if name not in _WHICH} | {"data": data}
