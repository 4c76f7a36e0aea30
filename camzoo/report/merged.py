"""All records of a data set as one: every method once, its folds and seeds together.

Rows of one method are put together where the settings that they depend on agree, and the voxels
that both records counted, too. Where they do not, they stay two lines, which say what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from camzoo.core.text import plain
from camzoo.evaluate.rows import line_name
from camzoo.harness.manifest import Cost, settings_of
from camzoo.metrics.frames import as_text, groups
from camzoo.report.equivalents import merge_equivalents
from camzoo.report.facts import started_from
from camzoo.report.records import Record
from camzoo.report.segmentation import of_baselines, of_maps
from camzoo.report.setting_labels import labels
from camzoo.report.table_cells import LINE
from camzoo.submissions.records import Submission

_Rows = Callable[[pd.DataFrame], pd.DataFrame]
#: Which rows a run has, where it ran and how it is called: no setting that numbers depend on.
_NO_SETTINGS: Final = (
    "preset", "methods", "baselines", "seeds", "device", "threads", "data.folds",
    "backbone.weights",
)  # fmt: skip
#: Settings of the U-Net, which maps know nothing of.
_OF_VOLUMES: Final = "segmentation."
_UNIT: Final = [
    "stage", "fold", "seed", "subset", "protocol", "organ", "region", "case",
]  # fmt: skip
_COUNTS: Final = ["tp", "n_pred", "n_ref"]
_TEXTS: Final = (*LINE, "run", "split", "backbone", *_UNIT)


@dataclass(frozen=True)
class Merged:
    """What the records of a data set hold together.

    Attributes:
        records: In the order of their names.
        maps: Rows of maps; methods that are one by construction share a line.
        baselines: Rows of baselines.
        curves: Counts over thresholds, of the lines of ``maps``.
        costs: What each baseline took, by fold and seed, under the name of its line.
        cells: Cells of the manifests, with steps under the names of their lines.
        notes: Which methods share a line.
        submissions: Rows of others that stand among these.
    """

    records: tuple[Record, ...]
    maps: pd.DataFrame
    baselines: pd.DataFrame
    curves: pd.DataFrame
    costs: tuple[Cost, ...]
    cells: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    submissions: tuple[Submission, ...] = ()

    @property
    def organs(self) -> list[str]:
        """Organs of all records, those of the first in the order of its classes."""
        return list(dict.fromkeys(o for r in self.records for o in r.manifest["dataset"]["organs"]))


def merge(records: Sequence[Record], submissions: Sequence[Submission] = ()) -> Merged:
    """Put the records of a data set together.

    Args:
        records: At least one; the same for any order of them.
        submissions: For the splits of these records.
    """
    ordered = sorted(records, key=lambda record: record.run)
    families = _families(ordered, of_maps, volumes=False)
    systems = _families(ordered, of_baselines, volumes=True)
    noted = [family.with_equivalents() for family in families]
    curves = [family.curves() for family in families]
    return Merged(
        records=tuple(ordered),
        maps=_together([*(rows for rows, _ in noted), *_of(submissions, of_maps)], ordered[0].rows),
        baselines=_together(
            [*(family.rows() for family in systems), *_of(submissions, of_baselines)],
            ordered[0].rows,
        ),
        curves=_together(curves, ordered[0].curves),
        costs=tuple(cost for family in systems for cost in family.costs()),
        cells=tuple(cell for family in families for cell in family.cells()),
        notes=tuple(dict.fromkeys(note for _, note in noted if note)),
        submissions=tuple(submissions),
    )


def _of(submissions: Sequence[Submission], of: _Rows) -> list[pd.DataFrame]:
    """Rows of one kind, of the submissions that have any."""
    return [rows for one in submissions if len(rows := of(one.rows))]


@dataclass
class _Edition:
    """Rows of one line that contradict each other nowhere, and where they are from."""

    rows: pd.DataFrame
    records: list[Record]


@dataclass
class _Family:
    """Records whose settings agree.

    Attributes:
        label: What tells it from other families of the page; empty for a single one.
        records: Its records.
        lines: Editions of each line; one but where a record contradicts another.
    """

    label: str
    records: list[Record] = field(default_factory=list)
    lines: dict[tuple[str, ...], list[_Edition]] = field(default_factory=dict)

    def add(self, record: Record, rows: pd.DataFrame) -> None:
        self.records.append(record)
        for key, mine in groups(rows, LINE):
            editions = self.lines.setdefault(tuple(map(_text, key.values())), [])
            for edition in editions:
                new = _new_rows(edition.rows, mine)
                if new is not None:
                    edition.rows = _together([edition.rows, new])
                    edition.records.append(record)
                    break
            else:
                editions.append(_Edition(mine, [record]))

    def rows(self) -> pd.DataFrame:
        """All rows, called as tables call them."""
        return _together([_called(e.rows, label) for e, label in self._editions()])

    def with_equivalents(self) -> tuple[pd.DataFrame, str]:
        """The same with methods that are one by construction on one line, and what was merged."""
        named = [_called(e.rows, self._code(key, e)) for key, e in self._all()]
        equal = [g for record in self.records for g in record.manifest["equivalent"]]
        unique = list(dict.fromkeys(tuple(group) for group in equal))
        rows, note = merge_equivalents(_together(named), unique)
        return _called(rows, self.label), note

    def curves(self) -> pd.DataFrame:
        """Curves of the lines, each count once."""
        found = []
        for key, edition in self._all():
            mine = [_of_line(record.curves, key) for record in edition.records]
            keys = [name for name in (*_UNIT, "threshold") if name in mine[0]]
            curves = _together(mine).drop_duplicates(keys)
            found.append(_called(curves, line_name(self._code(key, edition), self.label)))
        return _together(found)

    def costs(self) -> Iterator[Cost]:
        """Costs of each fold and seed once; a later run has what an earlier one took."""
        seen = set()
        for record in self.records:
            for cost in record.costs:
                key = cost["method"], cost["fold"], cost["seed"]
                if key not in seen:
                    seen.add(key)
                    yield {**cost, "method": line_name(cost["method"], self.label)}

    def cells(self) -> Iterator[Mapping[str, Any]]:
        """Likewise what steps reported."""
        seen = set()
        for record in self.records:
            for cell in record.manifest["cells"]:
                steps = {}
                for name, fact in cell.get("steps", {}).items():
                    if (key := (name, cell["fold"], cell["seed"])) not in seen:
                        seen.add(key)
                        steps[line_name(name, self.label)] = fact
                yield {**cell, "steps": steps}

    def _all(self) -> Iterator[tuple[tuple[str, ...], _Edition]]:
        for key, editions in sorted(self.lines.items()):
            for edition in editions:
                yield key, edition

    def _editions(self) -> Iterator[tuple[_Edition, str]]:
        for key, edition in self._all():
            yield edition, line_name(self._code(key, edition), self.label)

    def _code(self, key: tuple[str, ...], edition: _Edition) -> str:
        """Which code made an edition, or which run where that does not tell; empty for one."""
        editions = self.lines[key]
        if len(editions) == 1:
            return ""
        commits = [e.records[0].manifest["environment"]["commit"] for e in editions]
        mine = edition.records[0]
        if len(set(commits)) == len(commits):
            return f"(at {mine.manifest['environment']['commit']})"
        return f"({mine.run})"


def _families(records: Sequence[Record], of: _Rows, *, volumes: bool) -> list[_Family]:
    """Records by their settings; those without such rows have none."""
    parts = [(record, of(record.rows)) for record in records]
    parts = [(record, rows) for record, rows in parts if len(rows)]
    settings = [_settings(record, volumes=volumes) for record, _ in parts]
    different = [s for i, s in enumerate(settings) if s not in settings[:i]]
    presets = [
        plain(parts[settings.index(s)][0].manifest["config"].get("preset", "")) for s in different
    ]
    named = [f"({label})" if label else "" for label in labels(different, presets)]
    families = [_Family(label) for label in named]
    if len(parts) == 1:
        return [_Single(*parts[0])]
    for (record, rows), mine in zip(parts, settings, strict=True):
        families[different.index(mine)].add(record, rows)
    return list(families)


class _Single(_Family):
    """A single record, whose rows need no putting together: large ones stay as they were read."""

    def __init__(self, record: Record, rows: pd.DataFrame) -> None:
        super().__init__("", [record])
        self._rows = rows

    def rows(self) -> pd.DataFrame:
        return self._rows

    def with_equivalents(self) -> tuple[pd.DataFrame, str]:
        return merge_equivalents(self._rows, self.records[0].manifest["equivalent"])

    def curves(self) -> pd.DataFrame:
        return self.records[0].curves


def _settings(record: Record, *, volumes: bool) -> dict[str, str]:
    """What numbers depend on, by dotted name, with weights by their content where it is known."""
    kept = {
        name: plain(value)
        for name, value in settings_of(record.manifest).items()
        if name not in _NO_SETTINGS and (volumes or not name.startswith(_OF_VOLUMES))
    }
    return kept | {"weights": plain(started_from(record.manifest))}


def _new_rows(known: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame | None:
    """Rows of ``more`` that are not known; None where it contradicts what is known."""
    keys = [pd.MultiIndex.from_frame(_spelled(frame)[_UNIT]) for frame in (known, more)]
    there = keys[1].isin(keys[0])
    counts = [
        frame[_COUNTS].fillna(-1).set_axis(key)
        for frame, key in zip((known, more), keys, strict=True)
    ]
    shared = counts[1][there]
    agree = counts[0].loc[shared.index].to_numpy() == shared.to_numpy()
    return more[~there] if bool(agree.all()) else None


def _of_line(frame: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    """Rows of one line."""
    mine = pd.Series(data=True, index=frame.index)
    for name, value in zip(LINE, key, strict=True):
        mine &= as_text(frame[name]) == value
    return frame[mine]


def _called(rows: pd.DataFrame, label: str) -> pd.DataFrame:
    """Rows with a label behind the name of their line."""
    if not label:
        return rows
    names = [line_name(_text(variant), label) for variant in rows["variant"]]
    return rows.assign(variant=names)


def _together(
    frames: Sequence[pd.DataFrame], otherwise: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Frames as one, with text as categories in alphabetical order; no rows without any."""
    if not frames:
        return pd.DataFrame() if otherwise is None else otherwise.iloc[:0]
    if len(frames) == 1:
        return frames[0]
    one = pd.concat([_spelled(frame) for frame in frames], ignore_index=True)
    return one.astype({name: "category" for name in _TEXTS if name in one})


def _spelled(frame: pd.DataFrame) -> pd.DataFrame:
    """Categories as the text that they stand for: those of two frames differ."""
    found = frame.select_dtypes("category").columns
    return frame.astype({str(name): object for name in found})


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)
