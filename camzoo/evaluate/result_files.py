"""Files of results, in the folder of a stage and in that of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from camzoo.core.stored import Advice, made_again, read_frame

if TYPE_CHECKING:
    from camzoo.metrics.case import Record

#: File of counts.
CURVES: Final = "curves.parquet"
#: File of partial result rows.
SCORES: Final = "scores.parquet"
#: Folder of the label volumes of the test cases, and file of the labels of training slices.
PREDICTIONS: Final = "predictions"
PSEUDO_MASKS: Final = "pseudo-masks.npy"
#: What curves hold of each case.
COLUMNS: Final = {
    "organ": "text", "case": "text", "patient": "text", "threshold": "float", "tp": "int",
    "n_pred": "int", "n_ref": "int",
}  # fmt: skip


def read_curves(
    folder: Path, advice: Advice = made_again, *, categories: bool = False
) -> pd.DataFrame:
    """Read the counts in ``folder``; text comes as ``categories`` where they are asked for.

    Raises:
        DataError: They are damaged; the message ends in ``advice``.
    """
    return read_frame(folder / CURVES, COLUMNS, advice, categories=categories)


def read_scores(folder: Path) -> list[Record]:
    """Read the partial result rows that a stage stored in ``folder``."""
    frame = read_frame(folder / SCORES, {"organ": "text", "case": "text", "tp": "int"})
    return [{str(column): v for column, v in row.items()} for row in frame.to_dict("records")]
