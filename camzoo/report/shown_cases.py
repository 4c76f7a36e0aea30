"""The test cases that pictures show, from the worst to the best of the headline protocol."""

from __future__ import annotations

from typing import Final

import pandas as pd

from camzoo.metrics.subregions import WHOLE
from camzoo.report.tables import HEADLINE

#: Cases that stand for all, and how far from the worst to the best each is.
_RANKS: Final = {"worst": 0.0, "median": 0.5, "best": 1.0}


def headline(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of whole organs of the test cases at the headline protocol."""
    rows = rows[(rows["subset"] == "test") & (rows["protocol"] == HEADLINE.value)]
    return rows[rows["region"] == WHOLE]


def headline_of_first_cell(rows: pd.DataFrame) -> pd.DataFrame:
    """Likewise of the first fold and seed alone."""
    rows = headline(rows)
    first = rows[["fold", "seed"]].head(1)
    return rows.merge(first, on=["fold", "seed"])


def mean_scores(headline: pd.DataFrame) -> pd.Series[float]:
    """Mean DSC of each case over methods, organs and seeds, ascending."""
    return headline.groupby("case")["dsc"].mean().sort_values(kind="stable")


def standing(scores: pd.Series[float]) -> dict[str, str]:
    """The best, the median and the worst case, with what each is called; fewer of few cases."""
    chosen = {name: scores.index[round(rank * (len(scores) - 1))] for name, rank in _RANKS.items()}
    return {str(case): name for name, case in reversed(chosen.items())}
