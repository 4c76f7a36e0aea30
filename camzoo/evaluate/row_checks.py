"""What every table of result rows holds to: asked when rows are made, written and read.

A row that breaks a rule is a wrong number, whatever made it: a damaged file, an edit, a fault of
camzoo. The rules follow from what the metrics mean (:mod:`camzoo.metrics.base`) and from how
voxel counts and distances hang together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from camzoo.core.errors import DataError
from camzoo.core.protocol import Protocol
from camzoo.core.supervision import Supervision
from camzoo.core.text import plain
from camzoo.evaluate.rows import AS_GIVEN, KEY, NO_THRESHOLD, PSEUDO_MASK, SEGMENTATION
from camzoo.metrics.base import UNDEFINED, Metric, Needs
from camzoo.metrics.definitions import stored_metrics
from camzoo.metrics.overlap import dice
from camzoo.metrics.status import Status
from camzoo.metrics.subregions import THIRDS, WHOLE

#: A rule in words, and which rows break it.
Broken = tuple[str, "pd.Series[bool]"]
#: Columns with few values.
_WORDS: Final[dict[str, frozenset[str]]] = {
    "stage": frozenset({PSEUDO_MASK, SEGMENTATION}),
    "subset": frozenset({"train", "val", "test"}),
    "region": frozenset({WHOLE, *THIRDS}),
    "protocol": frozenset({NO_THRESHOLD, AS_GIVEN, *(p.value for p in Protocol)}),
    "supervision": frozenset(kind.value for kind in Supervision),
    "status": frozenset(status.value for status in Status),
}
_COUNTS: Final = ("tp", "n_pred", "n_ref")
_OF_SLICES: Final = ("slices", "slices_failed", "slices_there", "slices_all", "n_pred_there")
#: Counts of which the first is a part of the second.
_PARTS: Final = (
    ("slices", "slices_there"), ("slices_there", "slices_all"), ("slices_failed", "slices_all"),
    ("tp", "n_pred_there"), ("n_pred_there", "n_pred"),
)  # fmt: skip
_SPACING: Final = ("spacing_z", "spacing_y", "spacing_x")
#: Distances of which the second can be no larger than the first.
_ORDERED: Final = (
    ("diagonal_mm", "hd_mm"), ("hd_mm", "hd95_mm"), ("hd_mm", "asd_mm"), ("hd_mm", "mad_mm"),
    ("hd_mm", "mad_reverse_mm"), ("diagonal_mm", "asd_mm"), ("diagonal_mm", "mad_mm"),
)  # fmt: skip
#: Where one of the masks is empty, distances are undefined.
_UNDEFINED: Final = frozenset(
    {Status.EMPTY_PRED.value, Status.EMPTY_REF.value, Status.MISSING.value}
)
#: What says of which data set a case is.
_DATA: Final = ("dataset", "data")
#: What is the same in all rows of a case, of an organ's region in it, of a case in a fold.
_SHARED: Final = (
    (("case",), ("patient", *_SPACING)),
    (("case", "organ", "region"), ("n_ref", "diagonal_mm")),
    (("fold", "case"), ("subset",)),
)
#: Numbers that are computed anew may differ by rounding.
_SAME: Final = 1e-6


def require_sound(rows: pd.DataFrame, where: str) -> None:
    """Refuse rows that cannot be true.

    Args:
        rows: Rows in the columns of the schema. A column may be empty as a whole: it was not
            measured.
        where: The file or the work that they come from, as the message calls it.

    Raises:
        DataError: With the first rule that is broken and a row that breaks it.
    """
    if rows.empty:
        raise DataError(f"{where} holds no row")
    for rules in (
        _keys,
        _words,
        _ranges,
        _counts,
        _measured,
        _distances,
        _thresholds,
        _places,
        _shared,
    ):
        for rule, wrong in rules(rows):
            if wrong.any():
                raise DataError(f"{where}: {rule}; {_row(rows, wrong)}")


def _keys(rows: pd.DataFrame) -> Iterator[Broken]:
    for name in (*KEY, "patient", "status"):
        if rows[name].notna().any():
            yield f"{name} is missing", rows[name].isna()
    yield "the same row stands twice", rows.duplicated(list(KEY), keep=False)


def _words(rows: pd.DataFrame) -> Iterator[Broken]:
    for name, known in _WORDS.items():
        given = rows[name].notna()
        yield f"{name} is not one of {', '.join(sorted(known))}", given & ~rows[name].isin(known)


def _counts(rows: pd.DataFrame) -> Iterator[Broken]:
    whole = rows["status"] != Status.MISSING.value
    for name in (*_COUNTS, "fold", "seed", *_OF_SLICES):
        yield f"{name} is negative", rows[name] < 0
    for smaller, larger in _PARTS:
        less, more = (rows[name].astype("float64") for name in (smaller, larger))
        yield f"{smaller} is more than {larger}", less > more
    if not rows[list(_COUNTS)].notna().any(axis=None):
        return
    tp, n_pred, n_ref = (rows[name].astype("float64") for name in _COUNTS)
    absent = tp.isna() | n_pred.isna()
    yield "counts of voxels are missing", (whole & absent) | n_ref.isna()
    yield "tp is more than n_pred or n_ref", (tp > n_pred) | (tp > n_ref)
    there = whole & ~absent
    said = np.select(
        [(n_pred > 0) & (n_ref > 0), n_ref > 0, n_pred > 0],
        [Status.OK.value, Status.EMPTY_PRED.value, Status.EMPTY_REF.value],
        Status.EMPTY_BOTH.value,
    )
    yield "status contradicts the counts", there & (rows["status"].to_numpy() != said)
    dsc = np.asarray(dice(tp[there].to_numpy(), n_pred[there].to_numpy(), n_ref[there].to_numpy()))
    off = ~(np.abs(rows["dsc"][there].to_numpy("float64") - dsc) <= _SAME)
    yield "dsc is not what its counts give", _at(rows, there, off)


def _ranges(rows: pd.DataFrame) -> Iterator[Broken]:
    for metric in _measured_metrics(rows):
        values, (low, high) = rows[metric.name].astype("float64"), metric.range
        outside = (values < low) | (values > high) | np.isinf(values)
        yield f"{metric.name} is outside {low:g} to {high:g}", outside


def _measured(rows: pd.DataFrame) -> Iterator[Broken]:
    for metric in _measured_metrics(rows):
        # Means over slices, and what is measured in regions alone, may be undefined anywhere.
        if metric.needs is Needs.PAIR:
            excused = _UNDEFINED if metric.one_empty == UNDEFINED else {Status.MISSING.value}
            lacking = rows[metric.name].isna() & ~rows["status"].isin(excused)
            yield f"{metric.name} is missing and its status does not say why", lacking


def _measured_metrics(rows: pd.DataFrame) -> list[Metric]:
    """The registered metrics that some row has."""
    return [m for m in stored_metrics() if m.name in rows and rows[m.name].notna().any()]


def _distances(rows: pd.DataFrame) -> Iterator[Broken]:
    names = [name for pair in _ORDERED for name in pair] + ["assd_mm"]
    rows = rows.reindex(columns=list(dict.fromkeys(names)))
    for larger, smaller in _ORDERED:
        yield f"{smaller} is larger than {larger}", rows[smaller] > rows[larger] * (1 + _SAME)
    there, back = rows["mad_mm"], rows["mad_reverse_mm"]
    known = there.notna() & back.notna()
    outside = (rows["asd_mm"] < np.minimum(there, back) * (1 - _SAME)) | (
        rows["asd_mm"] > np.maximum(there, back) * (1 + _SAME)
    )
    yield "asd_mm does not lie between the means of both directions", known & outside
    off = (rows["assd_mm"] - (there + back) / 2).abs() > _SAME * (1 + there + back)
    yield "assd_mm is not the mean of both directions", known & off


def _thresholds(rows: pd.DataFrame) -> Iterator[Broken]:
    threshold = rows["threshold"].astype("float64")
    chosen = rows["protocol"].isin([p.value for p in Protocol])
    yield "threshold is outside 0 to 1", (threshold < 0) | (threshold > 1)
    yield "no threshold was chosen, and one is given", ~chosen & threshold.notna()
    lost = chosen & threshold.isna() & (rows["status"] != Status.MISSING.value)
    if threshold.notna().any():
        yield "threshold is missing", lost


def _places(rows: pd.DataFrame) -> Iterator[Broken]:
    for name in (*_SPACING, "diagonal_mm"):
        values = rows[name].astype("float64")
        if values.notna().any():
            yield f"{name} is no length in mm", ~((values > 0) & (values < np.inf))


def _shared(rows: pd.DataFrame) -> Iterator[Broken]:
    for key, names in _SHARED:
        groups = rows.groupby([*_DATA, *key], dropna=False, observed=True)
        for name in names:
            differ = groups[name].transform("nunique", dropna=True) > 1
            yield f"{name} differs between rows of one {' and '.join(key)}", differ


def _at(rows: pd.DataFrame, there: pd.Series[bool], wrong: object) -> pd.Series[bool]:
    """Which of all rows are wrong, from which of some are."""
    found = pd.Series(False, index=rows.index)
    found[there] = np.asarray(wrong, dtype=bool)
    return found


def _row(rows: pd.DataFrame, wrong: pd.Series[bool]) -> str:
    """Name the first row that is wrong."""
    names = ["method", "variant", "organ", "region", "case", "protocol", "seed"]
    row = rows.loc[wrong, names].iloc[0]
    known = (f"{name} {plain(value, 60)}" for name, value in row.items() if _is_there(value))
    more = int(wrong.sum()) - 1
    return f"row of {', '.join(known)}" + (f", and {more} more" if more else "")


def _is_there(value: object) -> bool:
    return not pd.isna(value) and value != ""  # type: ignore[call-overload]
