"""Two helpers for tables whose key columns may be absent or null."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd


def present(frame: pd.DataFrame, wanted: Sequence[str]) -> list[str]:
    """Return those of ``wanted`` that are columns of ``frame``."""
    return [name for name in wanted if name in frame]


def groups(
    frame: pd.DataFrame, keys: Sequence[str]
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield (key columns with their values, rows), sorted by key; null is a value like others.

    Without keys the whole frame is one group.
    """
    if not keys:
        yield {}, frame
        return
    for key, group in frame.groupby(list(keys), dropna=False, sort=True):
        yield dict(zip(keys, key, strict=True)), group
