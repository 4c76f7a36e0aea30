"""Which folds and seeds lines of several records have in common, so that they can be compared.

A mean over three folds is no rival of a mean over one. Lines are compared on the cells that as many
lines and patients as possible share: the same split, fold and seed, with the same test cases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camzoo.core.choices import SplitKind
from camzoo.core.text import plain
from camzoo.metrics.frames import numbered, present
from camzoo.report.table_cells import LINE

#: Columns that tell the cells of a run apart.
CELL: Final = ("split", "fold", "seed")
#: What a line was scored on: the size of the reference tells cases of one name apart.
_SCORED: Final = (*CELL, "patient", "case", "organ", "n_ref")
#: Different sets of cells up to which those that two of them share are looked at, too.
_FEW: Final = 40

_Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Common:
    """What is compared.

    Attributes:
        lines: Lines (method, variant, supervision) that have all of the cells.
        cells: Split, fold and seed of each, a row each.
    """

    lines: pd.DataFrame
    cells: pd.DataFrame

    def has(self, rows: pd.DataFrame) -> pd.Series[bool]:
        """Whether the line of each row is compared."""
        return _among(rows, self.lines)

    def even(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Take away what lines that are compared have beyond the cells; others stay as they are."""
        beyond = ~_among(rows, self.cells[present(rows, CELL)])
        drop = self.has(rows) & beyond if beyond.any() else beyond
        return rows[~drop] if drop.any() else rows

    def __str__(self) -> str:
        """Folds and seeds, in words."""
        return in_words(self.cells)


def common(rows: pd.DataFrame, among: pd.DataFrame | None = None) -> Common:
    """Find the cells to compare on.

    Args:
        rows: Whole organs of test cases, of one protocol.
        among: Those rows that are rivals; the cells are chosen for them. All when left out.
    """
    line, lines = numbered(rows, list(LINE))
    unit, units = numbered(rows, list(_SCORED))
    has = np.zeros((len(lines), len(units)), bool)
    has[line, unit] = True
    rivals = np.ones(len(lines), bool)
    if among is not None and len(among):
        rivals = _among(lines, among[list(LINE)].drop_duplicates()).to_numpy()
    patients, _ = numbered(units, ["patient"])
    chosen = max(_candidates(has[rivals]), key=lambda s: _worth(has[rivals], s, patients))
    complete = np.flatnonzero(has[:, chosen].all(axis=1))
    return Common(
        lines.iloc[complete],
        units.loc[chosen, list(CELL)].drop_duplicates().reset_index(drop=True),
    )


def in_words(cells: pd.DataFrame) -> str:
    """Say which folds and seeds; a split that is not by patient has its name before them."""
    parts = []
    for split, mine in cells.groupby("split", dropna=False, observed=True):
        values = [sorted(set(mine[name].dropna().astype(int))) for name in ("fold", "seed")]
        named = [
            f"{what}{'s' if len(some) > 1 else ''} {', '.join(map(str, some))}"
            for what, some in zip(("fold", "seed"), values, strict=True)
            if some
        ]
        whole = len(mine) == len(values[0]) * len(values[1])
        text = ("" if whole else f"{len(mine)} cells of ") + ", ".join(named)
        parts.append(text if split == SplitKind.PATIENT.value else f"split {plain(split)}: {text}")
    return "; ".join(parts)


def _candidates(has: _Flags) -> Iterator[_Flags]:
    """Sets of units, [units] each, that some line has, or two of them share."""
    patterns: list[_Flags] = [np.asarray(row, bool) for row in np.unique(has, axis=0)[::-1]]
    yield from patterns
    if 1 < len(patterns) <= _FEW:
        yield from (a & b for a, b in combinations(patterns, 2) if (a & b).any())
        if (every := np.logical_and.reduce(patterns)).any():
            yield every


def _worth(has: _Flags, chosen: _Flags, patients: NDArray[Any]) -> tuple[int, int, int]:
    """How much a set of units lets compare: rivals times patients; then lines, then units."""
    lines = int(has[:, chosen].all(axis=1).sum())
    return (lines - 1) * len(np.unique(patients[chosen])), lines, int(chosen.sum())


def _among(rows: pd.DataFrame, wanted: pd.DataFrame) -> pd.Series[bool]:
    """Whether each row has one of the wanted combinations of values."""
    names = list(wanted.columns)
    number, found = numbered(rows, names)
    keys = {tuple(map(_text, key)) for key in wanted.itertuples(index=False, name=None)}
    kept = [tuple(map(_text, key)) in keys for key in found.itertuples(index=False, name=None)]
    return pd.Series(np.array(kept, bool)[number], rows.index)


def _text(value: Any) -> str:
    """Categories, texts and numbers of whatever type, as one."""
    return "" if pd.isna(value) else str(value)
