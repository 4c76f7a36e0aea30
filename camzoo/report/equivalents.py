"""Methods that are one method on the head and layer of a run share a line instead of a rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from camzoo.evaluate.rows import line_names

#: Between the names of one line.
EQUALS: Final = " = "


def merge_equivalents(
    rows: pd.DataFrame, groups: Sequence[Sequence[str]]
) -> tuple[pd.DataFrame, str]:
    """Keep the first method of each group, under all their names.

    Args:
        rows: Rows of one run.
        groups: Methods, as tables call them, that are equal by construction there.

    Returns:
        The rows, and a note on what was merged and how far rounding drove the numbers apart.
    """
    if not groups:
        return rows, ""
    notes = []
    lines = line_names(rows)
    for group in groups:
        there = [name for name in group if (lines == name).any()]
        if len(there) < 2:
            continue
        worst = max(_difference(rows, there[0], name) for name in there[1:])
        rows = rows[~lines.isin(there[1:])]
        first = lines.loc[rows.index] == there[0]
        rows = rows.assign(
            method=rows["method"].astype(object).mask(first, EQUALS.join(there)),
            variant=rows["variant"].astype(object).mask(first, ""),
        )
        lines = line_names(rows)
        notes.append(
            f"{', '.join(there)} are one method here by construction and share a line; "
            f"rounding moves the DSC of a volume by at most {100 * worst:.2g} points."
        )
    return rows, "\n".join(notes)


def _difference(rows: pd.DataFrame, one: str, other: str) -> float:
    """Largest difference of DSC between two methods, at the same threshold of the same volume."""
    keys = ["fold", "seed", "subset", "protocol", "organ", "region", "case"]
    lines = line_names(rows)
    pair = [rows[lines == name].set_index(keys)["dsc"] for name in (one, other)]
    gap = (pair[0] - pair[1]).abs().max()
    return float(gap) if pd.notna(gap) else 0.0
