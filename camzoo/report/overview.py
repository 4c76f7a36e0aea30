"""Rows of runs and scorings in one table, chosen by columns or settings, sorted by a metric."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from camzoo.core.errors import ConfigError
from camzoo.core.suggest import unknown
from camzoo.core.text import plain
from camzoo.evaluate.row_checks import require_sound
from camzoo.evaluate.rows import NO_THRESHOLD, ROWS, line_names, read_rows
from camzoo.harness.manifest import MANIFEST, settings_of
from camzoo.metrics.definitions import get_metric
from camzoo.metrics.frames import as_text
from camzoo.metrics.subregions import WHOLE
from camzoo.report.records import read_record
from camzoo.report.table_cells import SHOWN, Summaries, measured, summaries
from camzoo.report.tables import HEADLINE

_BY: Final = ("dataset", "data", "run", "stage", "protocol")
#: What is shown of rows unless it is asked for something else.
_USUAL: Final = {"subset": "test", "region": WHOLE}
_PROTOCOLS: Final = (HEADLINE.value, NO_THRESHOLD)


@dataclass(frozen=True)
class Condition:
    """Values that a column of rows, or a setting of runs, has to have.

    Attributes:
        name: A column, or the dotted name of a setting.
        patterns: Each with * and ? as in names of files; one has to fit.
    """

    name: str
    patterns: tuple[str, ...]

    def fits(self, value: Any) -> bool:
        """Whether a value is asked for."""
        text = "" if pd.isna(value) is True else str(value)
        return any(text == p or fnmatch.fnmatchcase(text, p) for p in self.patterns)


def parse_condition(text: str) -> Condition:
    """Read ``NAME=PATTERN``.

    Raises:
        ConfigError: It is none.
    """
    name, equals, pattern = text.partition("=")
    if not (name and equals):
        raise ConfigError(f"--where takes NAME=VALUE, as backbone=resnet50; got {plain(text, 60)}")
    return Condition(name.strip(), (pattern.strip(),))


def overview(
    folders: Sequence[Path], conditions: Sequence[Condition] = (), *, sort: str = "dsc"
) -> list[tuple[dict[str, Any], Summaries]]:
    """Sum up rows, a line per run, method and protocol, best first.

    Of test cases and whole organs, at the validated threshold where a run has it, unless conditions
    name other subsets, regions or protocols.

    Args:
        folders: Runs, records, or what ``camzoo score`` wrote.
        conditions: All have to hold; ``method`` is the name of a line, as tables have it.
        sort: Name of a metric; a mean that is not defined comes last.

    Raises:
        ConfigError: A folder holds no rows, no row is left, or there is no such column or metric.
        DataError: A file is damaged.
    """
    metric = get_metric(sort)
    parts = [_kept(folder, conditions) for folder in folders]
    known = {name for part in parts for name in part.known}
    for condition in conditions:
        if condition.name not in known:
            raise unknown("column or setting", condition.name, sorted(known))
    parts = [part for part in parts if len(part.rows)]
    if not parts:
        asked = ", ".join(f"{c.name}={'|'.join(c.patterns)}" for c in conditions)
        raise ConfigError(f"no row fits {plain(asked, 200)}; camzoo leaderboard --sort dsc has all")
    lacking = [str(part.folder) for part in parts if sort not in part.rows]
    if lacking:
        raise ConfigError(f"{', '.join(lacking)}: no column {sort}; run it again with this camzoo")
    names = dict.fromkeys((*SHOWN, sort))
    found = [line for part in parts for line in summaries(part.rows, names, _BY)]
    goodness = metric.goodness(pd.Series([line[1][sort]["mean"] for line in found])).tolist()
    order = sorted(range(len(found)), key=lambda k: (pd.isna(goodness[k]), -goodness[k], k))
    return [found[k] for k in order]


def overview_of(rows: pd.DataFrame) -> list[tuple[dict[str, Any], Summaries]]:
    """Sum up the rows of whole organs, a line per method and protocol."""
    return summaries(rows[rows["region"] == WHOLE], SHOWN, _BY)


def overview_table(lines: Sequence[tuple[Mapping[str, Any], Summaries]]) -> pd.DataFrame:
    """The same as finished cells."""
    return pd.DataFrame(
        {name: plain(cells[name]) for name in ("dataset", "run", "method", "protocol")}
        | measured(numbers, *numbers)
        | {"failed": f"{int(numbers['dsc']['n_failed'])}"}
        for cells, numbers in lines
    )


@dataclass(frozen=True)
class _Part:
    """Rows of a folder that fit, and what could have been asked of them."""

    folder: Path
    rows: pd.DataFrame
    known: tuple[str, ...]


def _kept(folder: Path, conditions: Sequence[Condition]) -> _Part:
    rows, settings = _read(folder)
    known = (*map(str, rows.columns), *settings)
    fits = all(c.fits(settings[c.name]) for c in conditions if c.name in settings)
    foreign = [c for c in conditions if c.name not in known]
    rows = rows if fits and not foreign else rows.iloc[:0]
    usual = [Condition(k, (v,)) for k, v in _USUAL.items() if not _asks(conditions, k)]
    if not _asks(conditions, "protocol") and rows["protocol"].isin(_PROTOCOLS).any():
        usual.append(Condition("protocol", _PROTOCOLS))
    for condition in (*conditions, *usual):
        if condition.name in rows:
            rows = rows[_fitting(rows, condition)]
    return _Part(folder, rows, known)


def _read(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows, and settings of the run by dotted name; a scoring has none."""
    if (folder / MANIFEST).exists() or not (folder / ROWS).is_file():
        record = read_record(folder)
        return record.rows, settings_of(record.manifest)
    rows = read_rows(folder / ROWS)
    require_sound(rows, str(folder / ROWS))
    blank = {name: as_text(rows[name]) for name in ("variant", "supervision")}
    return rows.assign(run=folder.name, **blank), {}


def _fitting(rows: pd.DataFrame, condition: Condition) -> pd.Series[bool]:
    """Rows that fit; of ``method`` the whole name of a line fits, too."""
    values = rows[condition.name].astype(object)
    fits = values.map({value: condition.fits(value) for value in values.unique()}).astype(bool)
    if condition.name != "method":
        return fits
    names = line_names(rows)
    return fits | names.map({n: condition.fits(n) for n in names.unique()}).astype(bool)


def _asks(conditions: Sequence[Condition], name: str) -> bool:
    return any(condition.name == name for condition in conditions)
