"""What became of the context map in the steps of C-CAM, from the manifest of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd


def context_table(cells: Sequence[Mapping[str, Any]], organs: Sequence[str]) -> pd.DataFrame:
    """Per method and organ, mean ± sample standard deviation over folds and seeds.

    ``weight`` is what the head has for the added channel in the end, ``weight_start`` what it
    started from, ``ratio`` the largest value that it adds to a map over the largest value of the
    map, ``attention`` the mean share of the organ's
    context in M_c, ``allowed`` the share of the slice that anatomy causality leaves.

    Args:
        cells: Cells of the manifest.
        organs: Organs in the order of the classes.
    """
    names = dict.fromkeys(name for cell in cells for name in cell.get("steps", {}))
    lines = []
    for name in names:
        facts = [cell["steps"][name] for cell in cells if name in cell.get("steps", {})]
        if not any(any(_of_organs(fact, "ratio", organs) or [1.0]) for fact in facts):
            continue  # retrained without a context
        for c, organ in enumerate(organs):
            numbers = {
                what: _mean_std(pd.Series([fact[what][c] for fact in facts]))
                for what in ("weight", "weight_start", "ratio", "attention", "allowed")
                if all(_of_organs(fact, what, organs) for fact in facts)
            }
            if numbers:
                empty = sum(_lacks(fact, organ) for fact in facts)
                lost = {"no context": f"{empty} of {len(facts)}"} if empty else {}
                lines.append({"method": name, "organ": organ} | numbers | lost)
    return pd.DataFrame(lines).fillna("")


def _lacks(fact: Mapping[str, Any], organ: str) -> bool:
    never = fact.get("never_found")
    return isinstance(never, list) and organ in never


def _of_organs(fact: Mapping[str, Any], what: str, organs: Sequence[str]) -> list[float]:
    """A number per organ; nothing where a step tells something else under that name."""
    values = fact.get(what)
    if not isinstance(values, list) or len(values) != len(organs):
        return []
    return values if all(isinstance(value, int | float) for value in values) else []


def _mean_std(values: pd.Series[float]) -> str:
    """Two significant digits: weights and ratios may be far below one."""
    std = f" ± {values.std(ddof=1):.2g}" if len(values) > 1 else ""
    return f"{values.mean():.2g}{std}"
