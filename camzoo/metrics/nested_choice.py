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
        The rows of the cells that have all candidates, with ``chosen``: true for one per cell, on a
        tie the first.

    Raises:
        ConfigError: No cell has all candidates.
    """
    by_cell = scores.groupby(list(CELL), observed=True)["score"]
    complete = by_cell.transform("count") == len(scores[list(candidate)].drop_duplicates())
    if not complete.any():
        raise ConfigError("no setting can be chosen: no fold and seed has all of them")
    best = by_cell.transform("idxmax") == scores.index
    return scores.assign(chosen=best)[complete].reset_index(drop=True)
