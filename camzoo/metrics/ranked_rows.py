"""Ranks of methods from result rows, with how far each may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from camzoo.metrics.comparison import RIVAL, paired_values, rival_name
from camzoo.metrics.definitions import get_metric
from camzoo.metrics.frames import groups, present
from camzoo.metrics.ranks import LEVEL, Ranks, Units, rank_methods
from camzoo.metrics.summary import CELL

_UNIT: Final = ("patient", "case", "fold", "seed")
#: How often a method is among the first, the first two and the first three.
PODIUM_COLUMNS: Final = ("p_first", "p_first_two", "p_first_three")


def rank_intervals(
    rows: pd.DataFrame,
    metric: str,
    *,
    rival: Sequence[str] = RIVAL,
    level: float = LEVEL,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank the methods of every table, with how far each rank may be believed.

    Undefined cases count at their worst value. Patients, seeds and folds are resampled
    (:mod:`camzoo.metrics.ranks`), so that an interval holds what another training would change, as
    far as the rows repeat it.

    Args:
        rows: Result rows.
        metric: Name of a metric.
        rival: Columns that tell methods apart; all other columns of a cell make the table.
        level: Chance that any interval of a table is wrong.
        seed: Seed of the bootstrap.

    Returns:
        A row per table and method: the columns of the cell, ``mean`` (with failures), ``rank``,
        ``rank_low`` and ``rank_high`` (all intervals of a table hold together), and how often the
        method is among the first when patients, seeds and folds are resampled:
        :data:`PODIUM_COLUMNS`.

    Raises:
        ConfigError: The methods of a table do not have the same cases.
    """
    rivals = present(rows, rival)
    cell = [name for name in present(rows, CELL) if name != "supervision"]
    tables = [name for name in cell if name not in rivals]
    parts = []
    for key, group in groups(rows, tables):
        means, ranks = _ranked(group, metric, rivals, level, seed)
        podium = dict(zip(PODIUM_COLUMNS, ranks.podium.T, strict=True))
        numbers = {"rank": ranks.rank, "rank_low": ranks.low, "rank_high": ranks.high, **podium}
        parts.append(means.rename("mean").reset_index().assign(**numbers, **key))
    columns = [*cell, "mean", "rank", "rank_low", "rank_high", *PODIUM_COLUMNS]
    return pd.concat(parts, ignore_index=True)[columns]


def significance(
    rows: pd.DataFrame, metric: str, *, rival: Sequence[str] = RIVAL, seed: int = 0
) -> pd.DataFrame:
    """Return what the rank intervals of one table rest on: p of all pairs, adjusted for all.

    Returns:
        A row and a column per method, in the order of their ranks.
    """
    means, ranks = _ranked(rows, metric, present(rows, rival), LEVEL, seed)
    names = [rival_name(key) for key in means.index]
    order = np.argsort(ranks.rank, kind="stable")
    return pd.DataFrame(ranks.p, names, names).iloc[order, order]


def _ranked(
    rows: pd.DataFrame, metric: str, rivals: Sequence[str], level: float, seed: int
) -> tuple[pd.Series[float], Ranks]:
    """Means of the methods of one table over cases, and their ranks."""
    wide = paired_values(rows, metric, rivals, _UNIT)
    units = Units.of(
        **{f"{n}s": wide.index.get_level_values(n) for n in map(str, wide.index.names)}
    )
    scores = wide.apply(get_metric(metric).goodness)
    means = wide.groupby(["patient", "case"]).mean().mean()
    return means, rank_methods(scores.to_numpy(), units, level=level, seed=seed)
