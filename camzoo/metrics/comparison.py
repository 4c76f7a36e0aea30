"""Which method is best, by how much, and whether the difference can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from camzoo.core.errors import ConfigError
from camzoo.metrics.definitions import get_metric
from camzoo.metrics.frames import groups, present
from camzoo.metrics.statistics import first_probability, paired_tests
from camzoo.metrics.summary import CELL, grade

#: What tells two rivals of one table apart.
RIVAL: Final = ("method", "variant")


def compare_to_best(
    rows: pd.DataFrame,
    metric: str,
    *,
    rival: Sequence[str] = RIVAL,
    reference: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every method with the best one of its table.

    Undefined cases count at their worst value, so a method cannot win by failing on hard cases.
    Rows of one patient (seeds, cases) are averaged first; patients are the pairs of the test.

    The best method is found on the same numbers, so it has won against each rival in hindsight.
    Holm's correction therefore runs over all pairs of methods, of which those with the best are
    reported. A method named as ``reference`` beforehand is compared with its rivals only.

    Args:
        rows: Result rows.
        metric: Name of a metric.
        rival: Columns that tell methods apart; all other columns of a cell make the table.
        reference: Compare with this method instead of the best.
        seed: Seed of the bootstrap.

    Returns:
        A row per table and method: the columns of the cell, ``mean`` (with failures),
        ``difference`` (its mean minus the best's), ``p`` and ``p_holm`` (two-sided; 1 where ranks
        speak against the difference of the means; NaN for the best itself), ``best``,
        ``p_first`` (how often it is first when patients are resampled), ``n_patients``.

    Raises:
        ConfigError: The methods of a table do not have the same cases, or ``reference`` is none
            of them.
    """
    rivals = present(rows, rival)
    cell = [name for name in present(rows, CELL) if name != "supervision"]
    tables = [name for name in cell if name not in rivals]
    parts = [
        _compare(paired_values(group, metric, rivals), metric, reference, seed).assign(**key)
        for key, group in groups(rows, tables)
    ]
    columns = [*cell, "mean", "difference", "p", "p_holm", "best", "p_first", "n_patients"]
    return pd.concat(parts, ignore_index=True)[columns]


def paired_values(
    rows: pd.DataFrame,
    metric: str,
    rival: Sequence[str] = RIVAL,
    unit: Sequence[str] = ("patient", "case"),
) -> pd.DataFrame:
    """Return the values of one table that are paired; undefined ones are the worst case.

    Rows of a unit (seeds, organs) are averaged. Organs that a case does not show, and of which no
    rival found anything, are left out of it, as in means.

    Args:
        rows: Result rows of one table.
        metric: Name of a metric.
        rival: Columns that tell rivals apart.
        unit: Columns that tell units apart, patient and case among them. Where a rival lacks a
            unit, as a training that failed, it has the mean of the others of that case.

    Returns:
        A row per unit, a column per rival.

    Raises:
        ConfigError: The rivals do not have the same cases.
    """
    rivals, units = present(rows, rival), present(rows, unit)
    graded = grade(rows, metric)
    graded["value"] = graded["value_with_failures"].fillna(get_metric(metric).both_empty)
    thing = present(graded, ["patient", "case", "organ", "region"])
    found = ~graded.groupby(thing, observed=True)["empty"].transform("all")
    kept = graded[found].groupby([*rivals, *units], dropna=False, observed=True)
    wide = kept["value"].mean().unstack(rivals)  # noqa: PD010  (pivot_table drops null keys)
    wide = wide.fillna(wide.groupby(["patient", "case"]).transform("mean"))
    lacking = wide.isna()
    if lacking.to_numpy().any():
        row, column = np.argwhere(lacking.to_numpy())[0]
        case = wide.index.get_level_values("case")[row]
        raise ConfigError(
            f"method {rival_name(wide.columns[column])} has no row for case {case}, but "
            "others do, so they cannot be paired; add a row with the status missing-pred for it"
        )
    return wide


def _compare(wide: pd.DataFrame, metric: str, reference: str | None, seed: int) -> pd.DataFrame:
    """Test all columns of one table against its best, or against ``reference``."""
    goodness = get_metric(metric).goodness
    scores = wide.apply(goodness)
    means = wide.mean()
    best = _leader(scores.mean(), reference)
    per_patient = scores.groupby("patient").mean().to_numpy()
    p, p_holm = paired_tests(
        per_patient, best, chosen_here=reference is None, means=scores.mean().to_numpy()
    )
    table = means.rename("mean").reset_index()
    return table.assign(
        difference=(means - means.iloc[best]).to_numpy(),
        p=p,
        p_holm=p_holm,
        best=np.arange(len(table)) == best,
        p_first=first_probability(
            scores.to_numpy(), wide.index.get_level_values("patient"), seed=seed
        ),
        n_patients=wide.index.get_level_values("patient").nunique(),
    )


def _leader(means: pd.Series[float], reference: str | None) -> int:
    """Position of the reference, or of the best mean (the first name on a tie)."""
    if reference is None:
        return int(means.to_numpy().argmax())
    names = [rival_name(key) for key in means.index]
    if reference not in names:
        raise ConfigError(f"reference {reference!r} is not among {', '.join(names)}")
    return names.index(reference)


def rival_name(key: object) -> str:
    """Return what a rival is called, from its value or values of the columns that tell it apart."""
    parts = key if isinstance(key, tuple) else (key,)
    return " ".join(str(part) for part in parts if pd.notna(part) and part != "")
