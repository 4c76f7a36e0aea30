"""Which of several settings the validation patients of each fold and seed choose.

Settings that are compared on the patients on which they are then scored flatter themselves. Here
each fold and seed chooses for itself, on patients that it neither learns from nor is scored on. The
mean over its test patients is then what tuning in this way gives on patients that had no say
(nested cross-validation: Varma and Simon, BMC Bioinformatics 2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from camzoo.core.errors import ConfigError

#: Columns that tell the cells of a run apart.
CELL: Final = ("fold", "seed")


def choose_by_cell(scores: pd.DataFrame, candidate: Sequence[str]) -> pd.DataFrame:
    """Let each fold and seed choose the candidate that its validation patients score highest.

    Args:
        scores: A row per cell and candidate: columns of :data:`CELL`, those of ``candidate``, and
            ``score``, of validation patients, larger is better.
        candidate: Columns that tell candidates apart.

    Returns:
        The rows with ``chosen``: true for one per cell, on a tie the first.

    Raises:
        ConfigError: A cell lacks a candidate that another one has: it would choose among others.
    """
    by_cell = scores.groupby(list(CELL), observed=True)["score"]
    candidates = len(scores[list(candidate)].drop_duplicates())
    lacking = scores[by_cell.transform("count") != candidates]
    if len(lacking):
        fold, seed = lacking.iloc[0][list(CELL)]
        raise ConfigError(f"fold {fold}, seed {seed} has not all of the {candidates} settings")
    best = by_cell.transform("idxmax") == scores.index
    return scores.assign(chosen=best)
