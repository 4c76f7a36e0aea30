"""What a report says first of a run: ten lines, each a name and a sentence."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from camzoo.cams.registry import cams
from camzoo.core.protocol import Protocol
from camzoo.core.text import plain
from camzoo.evaluate.rows import SEGMENTATION, line_name
from camzoo.metrics.comparison import compare_to_best
from camzoo.metrics.subregions import WHOLE
from camzoo.metrics.summary import summarise
from camzoo.report.facts import fact_lines
from camzoo.report.records import Record
from camzoo.report.segmentation import of_baselines, of_maps
from camzoo.report.table_cells import alike, enough_patients, interval, p_value, spread
from camzoo.report.tables import HEADLINE, of_weak
from camzoo.report.told_apart import told_apart

#: Facts of a run that stand among the ten lines, as :func:`camzoo.report.facts.fact_lines` calls
#: them.
_FACTS: Final = ("data", "split", "classifier", "precision")


def ten_lines(record: Record) -> list[tuple[str, str]]:
    """Say which method is best, whether it surely is, and what all numbers rest on."""
    rows = told_apart(record)
    test = rows[(rows["subset"] == "test") & (rows["region"] == WHOLE)]
    maps = of_maps(test)
    headline = maps[maps["protocol"] == HEADLINE.value]
    baselines = of_baselines(test)
    baselines = baselines[baselines["stage"] == SEGMENTATION]
    facts = dict(fact_lines(record))
    lines = [
        ("best method", _best_map(of_weak(headline))),
        ("is it sure?", _sure(of_weak(headline))),
        ("best baseline", _best(of_weak(baselines))),
        ("protocol", _protocol(maps)),
        ("failed", _failed(record, headline)),
        ("cases", _cases(headline if len(headline) else baselines)),
        *((name, facts[name]) for name in _FACTS),
    ]
    return [(name, plain(text)) for name, text in lines]


def _best_map(rows: pd.DataFrame) -> str:
    """The best method; where a control is ahead of all, the best that asks the classifier, too."""
    lines, text = _means(rows), _best(rows)
    asking = lines[[not _is_control(name) for name in lines["method"]]] if len(lines) else lines
    if len(asking) in (0, len(lines)) or asking.index[0] == lines.index[0]:
        return text
    return f"{text}, a control that asks no classifier; of the others {_best_of(asking)}"


def _is_control(method: str) -> bool:
    name = method.partition("[")[0]
    return name in cams and bool(cams.describe(name).facts.get("control"))


def _best(rows: pd.DataFrame) -> str:
    if not len(rows):
        return "none: this run has no such rows"
    return _best_of(_means(rows))


def _best_of(lines: pd.DataFrame) -> str:
    best = lines.iloc[0]
    return f"{_name(best)}: DSC {spread(best.to_dict(), 100)} % (95 % interval {interval(best)} %)"


def _sure(rows: pd.DataFrame) -> str:
    """Whether the best is better than the second, and if not, between how many it lies."""
    if rows.groupby(["method", "variant"], observed=True).ngroups < 2:
        return "there is no other method to compare with"
    compared = compare_to_best(rows.drop(columns=["organ", "region"]), "dsc")
    compared = compared.sort_values("mean", ascending=False, kind="stable")
    best, others = compared[compared["best"]].iloc[0], compared[~compared["best"]]
    second, share = others.iloc[0], f"{100 * best['p_first']:.0f} %"
    resampled = f"when patients are resampled, {_name(best)} is first in {share}"
    if not enough_patients(compared):
        few = f"{int(compared['n_patients'].min())} patients"
        return f"it cannot be told from {few} and {len(compared)} methods; {resampled}"
    as_good = alike(compared)
    gap = f"{-100 * second['difference']:.2f} points to {_name(second)}"
    verdict = "yes" if not len(as_good) else f"no, {len(as_good)} of {len(others)} may be as good"
    return f"{verdict}: {gap}, p (Holm) {p_value(second['p_holm'])}; {resampled}"


def _protocol(rows: pd.DataFrame) -> str:
    """What the headline's threshold was chosen on, and what choosing it in hindsight would add."""
    text = f"{HEADLINE.value}: threshold {HEADLINE.meaning}"
    if not len(rows) or Protocol.ORACLE.value not in set(rows["protocol"]):
        return text
    best = _means(of_weak(rows)[of_weak(rows)["protocol"] == HEADLINE.value])
    if not len(best):
        return text
    mine = rows[(rows["method"] == best.iloc[0]["method"])]
    mine = mine[mine["variant"] == best.iloc[0]["variant"]]
    oracle = _means(mine[mine["protocol"] == Protocol.ORACLE.value]).iloc[0]["mean"]
    gap = 100 * (oracle - best.iloc[0]["mean"])
    return f"{text}; {Protocol.ORACLE.value} would add {gap:.2f} points to the best method"


def _failed(record: Record, headline: pd.DataFrame) -> str:
    methods = record.manifest["failures"]
    there = f"methods without any rows: {', '.join(methods)}" if methods else "every method ran"
    if not len(headline):
        return there
    lines = _means(headline)
    lost = lines[lines["n_failed"] > 0]
    cases = ", ".join(f"{_name(line)} {int(line['n_failed'])}" for _, line in lost.iterrows())
    return f"{there}; test volumes in which an organ was missed: {cases or 'none'}"


def _cases(rows: pd.DataFrame) -> str:
    organs = ", ".join(sorted(rows["organ"].unique()))
    volumes, patients = rows["case"].nunique(), rows["patient"].nunique()
    return f"{volumes} test volumes of {patients} patients: {organs}"


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Summaries of methods, best first."""
    by = ["method", "variant"]
    if not len(rows):
        return pd.DataFrame()
    return summarise(rows, "dsc", by).sort_values("mean", ascending=False, kind="stable")


def _name(line: pd.Series[Any]) -> str:
    return line_name(str(line["method"]), str(line["variant"]))
