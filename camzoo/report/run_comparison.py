"""Two runs, or two methods of one, case by case: by how much they differ, and what may be why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from camzoo.core.errors import ConfigError
from camzoo.core.suggest import unknown
from camzoo.core.text import plain
from camzoo.evaluate.rows import SEGMENTATION, line_name
from camzoo.harness.manifest import settings_of
from camzoo.metrics.comparison import paired_values
from camzoo.metrics.definitions import get_metric
from camzoo.metrics.frames import groups
from camzoo.metrics.statistics import Interval, bootstrap_interval, holm, wilcoxon_p
from camzoo.metrics.subregions import WHOLE
from camzoo.report.records import Record, read_record

#: The two sides, in this order; differences are the second minus the first.
SIDES: Final = ("first", "second")
#: Before the name of a baseline, which a CAM method may have, too.
_BASELINE: Final = "baseline "


@dataclass(frozen=True)
class PairedLine:
    """A method on both sides, or two methods.

    Attributes:
        method: As tables call it; of two methods, the second against the first.
        values: A row per patient and case: ``first``, ``second`` and ``difference``, those that
            differ most on top. Organs and seeds are averaged; failures count at their worst.
        interval: 95 % interval of the mean difference, resampling patients.
        p: Two-sided Wilcoxon test over patients.
        p_holm: With Holm's correction over the methods that are compared.
    """

    method: str
    values: pd.DataFrame
    interval: Interval
    p: float
    p_holm: float

    @property
    def means(self) -> dict[str, float]:
        """Means over cases, by column of :attr:`values`."""
        return {str(name): float(mean) for name, mean in self.values.mean().items()}

    @property
    def patients(self) -> int:
        """How many patients are paired."""
        return self.values.index.get_level_values("patient").nunique()


@dataclass(frozen=True)
class Comparison:
    """What two sides have in common and what not.

    Attributes:
        sides: What the first and the second are.
        lines: Methods that are compared.
        settings: What differs in settings, software and machine: name, first, second.
        notes: What was left out of the comparison.
    """

    sides: tuple[str, str]
    lines: tuple[PairedLine, ...]
    settings: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]


def compare_runs(
    folders: Sequence[Path], methods: Sequence[str] = (), *, metric: str, protocol: str
) -> Comparison:
    """Pair the test cases of two runs by method, or those of two methods of one run.

    Args:
        folders: Two runs on the same data; or one.
        methods: Of two runs, those that are compared (all that both have when left out); of one
            run exactly two. A baseline is called ``baseline NAME``.
        metric: Name of a metric.
        protocol: How thresholds of maps were chosen; volumes of baselines have none.

    Raises:
        ConfigError: The runs are one, are of different data, or share no test case or method;
            there is no such method, metric or protocol.
        DataError: A file is damaged.
    """
    get_metric(metric)
    records = [read_record(folder) for folder in folders]
    if len(records) == 1:
        (record,) = records
        if len(methods) != 2 or methods[0] == methods[1]:
            raise ConfigError(
                "one run is compared with itself by two methods: --method ONE --method OTHER; "
                "or name a second run"
            )
        there = _lines(record, metric, protocol)
        tables = [_named(there, name, record) for name in methods]
        pairs = [_Pair(f"{methods[1]} against {methods[0]}", *tables)]
        return Comparison((methods[0], methods[1]), _compared(pairs, metric), (), _lost(pairs))
    if len(records) != 2:
        raise ConfigError(f"two runs are compared, got {len(records)}")
    _require_comparable(*records)
    pairs = _shared(records, methods, metric, protocol)
    return Comparison(
        (records[0].run, records[1].run),
        _compared(pairs, metric),
        tuple(_differences(*(_facts(record) for record in records))),
        _lost(pairs),
    )


@dataclass(frozen=True)
class _Pair:
    method: str
    first: pd.DataFrame
    second: pd.DataFrame


def _require_comparable(first: Record, second: Record) -> None:
    if first.run == second.run:
        raise ConfigError(
            f"both folders are the run {first.run}; name two methods of it to compare: "
            "camzoo compare RUN --method ONE --method OTHER"
        )
    digests = [record.manifest["dataset"].get("data") for record in (first, second)]
    # Runs from before there was a digest are told apart by name, and by what their rows count.
    known = None not in digests
    if digests[0] != digests[1] if known else first.dataset != second.dataset:
        named = " and ".join(
            f"{r.run} is of {plain(r.dataset, 60)}, content {r.data or 'not known'}"
            for r in (first, second)
        )
        raise ConfigError(
            f"{named}: cases of different data cannot be paired; run both on the same data"
        )
    if not known:
        _require_same_references(first, second)


def _require_same_references(first: Record, second: Record) -> None:
    """Refuse runs in which the reference of an organ has another size."""
    keys = ["dataset", "case", "organ", "region"]
    sizes = [r.rows.groupby(keys, observed=True)["n_ref"].first() for r in (first, second)]
    both = pd.concat(sizes, axis=1, join="inner", keys=SIDES).dropna()
    differ = both[both["first"] != both["second"]]
    if len(differ):
        _, case, organ, _ = differ.index[0]
        a, b = differ.iloc[0]
        raise ConfigError(
            f"the reference of {plain(organ, 60)} in case {plain(case, 60)} has {a:.0f} voxels in "
            f"{first.run} and {b:.0f} in {second.run}: these runs are of different data"
        )


def _lines(record: Record, metric: str, protocol: str) -> dict[str, pd.DataFrame]:
    """Rows of whole organs of the test cases, by method."""
    rows = record.rows[(record.rows["subset"] == "test") & (record.rows["region"] == WHOLE)]
    if metric not in rows:
        raise ConfigError(f"{record.run} has no column {metric}; run it again with this camzoo")
    segmented = rows["stage"] == SEGMENTATION
    kept = rows[segmented | (rows["protocol"] == protocol)]
    if not len(kept):
        there = ", ".join(sorted(map(str, rows["protocol"].unique())))
        raise ConfigError(f"{record.run} has no test rows of the protocol {protocol}, but {there}")
    return {
        _line(key): mine for key, mine in groups(kept, ["stage", "method", "variant"]) if len(mine)
    }


def _line(key: Mapping[str, Any]) -> str:
    name = line_name(str(key["method"]), str(key["variant"]))
    return _BASELINE + name if key["stage"] == SEGMENTATION else name


def _named(lines: Mapping[str, pd.DataFrame], name: str, record: Record) -> pd.DataFrame:
    if name not in lines:
        raise unknown("method", name, map(plain, lines), of=record.run)
    return lines[name]


def _shared(
    records: Sequence[Record], methods: Sequence[str], metric: str, protocol: str
) -> list[_Pair]:
    """Methods of both runs."""
    first, second = (_lines(record, metric, protocol) for record in records)
    names = list(dict.fromkeys(methods)) or [name for name in first if name in second]
    if not names:
        raise ConfigError(
            f"{records[0].run} and {records[1].run} share no method: "
            f"{plain(', '.join(first), 200)}; and {plain(', '.join(second), 200)}"
        )
    return [
        _Pair(name, _named(first, name, records[0]), _named(second, name, records[1]))
        for name in names
    ]


def _compared(pairs: Sequence[_Pair], metric: str) -> tuple[PairedLine, ...]:
    tables = [_values(pair, metric) for pair in pairs]
    p = [_p(table["difference"]) for table in tables]
    return tuple(
        PairedLine(
            pair.method,
            table,
            bootstrap_interval(table["difference"], table.index.get_level_values("patient")),
            raw,
            float(adjusted),
        )
        for pair, table, raw, adjusted in zip(pairs, tables, p, holm(p), strict=True)
    )


def _p(differences: pd.Series[float]) -> float:
    """Of the differences of cases, whose patients are what is paired."""
    of_patients = differences.groupby("patient").mean().to_numpy(dtype=np.float64)
    ahead = np.sign([float(differences.mean())])
    return float(wilcoxon_p(of_patients[:, None], ahead=ahead)[0])


def _values(pair: _Pair, metric: str) -> pd.DataFrame:
    """Values of the cases that both sides have, those that differ most on top."""
    shared = set(pair.first["case"]) & set(pair.second["case"])
    if not shared:
        raise ConfigError(
            f"{plain(pair.method, 60)}: the two sides share no test case; compare runs of one split"
        )
    rows = pd.concat(
        mine[mine["case"].isin(shared)].assign(side=side)
        for side, mine in zip(SIDES, (pair.first, pair.second), strict=True)
    )
    wide = paired_values(rows, metric, ["side"])[[*SIDES]]
    wide.columns = pd.Index(SIDES)
    table = wide.assign(difference=wide["second"] - wide["first"])
    order = table["difference"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order]


def _lost(pairs: Sequence[_Pair]) -> tuple[str, ...]:
    """Say how many cases only one side has."""
    first, second = (
        {str(case) for pair in pairs for case in getattr(pair, side)["case"]} for side in SIDES
    )
    only = {"first": len(first - second), "second": len(second - first)}
    return tuple(
        f"{count} test cases of the {side} are not among those of the other, and left out"
        for side, count in only.items()
        if count
    )


def _facts(record: Record) -> dict[str, str]:
    """Settings by dotted name, and what a run was made with."""
    manifest = record.manifest
    environment = manifest["environment"]
    made = {
        "device": environment["device_name"],
        "instructions": environment.get("instructions", "not known"),
        "commit": environment["commit"],
    }
    facts = {
        **settings_of(manifest),
        **{f"weights {name}": value for name, value in manifest.get("weights", {}).items()},
        **{f"package {name}": version for name, version in environment["packages"].items()},
        **{f"made at: {name}": value for name, value in made.items()},
    }
    return {name: plain(value) for name, value in facts.items()}


def _differences(
    first: Mapping[str, str], second: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys([*first, *second]):
        sides = first.get(name, "not set"), second.get(name, "not set")
        if sides[0] != sides[1]:
            yield plain(name), *sides
