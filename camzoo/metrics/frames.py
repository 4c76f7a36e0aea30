"""Helpers for tables whose key columns may be absent or null."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def present(frame: pd.DataFrame, wanted: Sequence[str]) -> list[str]:
    """Return those of ``wanted`` that are columns of ``frame``."""
    return [name for name in wanted if name in frame]


def as_text(column: pd.Series[Any]) -> pd.Series[str]:
    """Return a column of categories, texts and nulls as texts; null is empty."""
    return column.astype(object).fillna("").astype(str)


def groups(
    frame: pd.DataFrame, keys: Sequence[str]
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield (key columns with their values, rows), sorted by key; null is a value like others.

    Without keys the whole frame is one group.
    """
    if not keys:
        yield {}, frame
        return
    for key, group in frame.groupby(list(keys), dropna=False, observed=True):
        yield dict(zip(keys, key, strict=True)), group


def numbered(frame: pd.DataFrame, keys: Sequence[str]) -> tuple[NDArray[np.intp], pd.DataFrame]:
    """Return the number of each row's group, and a row with the keys of each group.

    Groups are those of :func:`groups`, in its order. What is computed for all of them at once takes
    these numbers, and costs no frame per group.
    """
    if not keys:
        return np.zeros(len(frame), np.intp), pd.DataFrame(index=range(min(len(frame), 1)))
    number: NDArray[np.intp] = np.asarray(
        frame.groupby(list(keys), dropna=False, observed=True).ngroup(), np.intp
    )
    first = np.unique(number, return_index=True)[1]
    return number, frame[list(keys)].iloc[first].reset_index(drop=True)
