"""Every column of the result rows is watched: a row that cannot be true is refused."""

import numpy as np
import pandas as pd
import pytest

from camzoo.core.errors import DataError
from camzoo.evaluate.row_checks import require_sound
from camzoo.evaluate.rows import KEY, make_rows
from camzoo.metrics.base import Needs
from camzoo.metrics.case import CaseReference
from camzoo.metrics.definitions import get_metric, stored_metrics
from camzoo.metrics.status import Status

MEASURED = [metric.name for metric in stored_metrics()]
KEYED = {
    "run": "r", "dataset": "d", "split": "patient", "fold": 0, "seed": 0, "backbone": "b",
    "stage": "pseudo-mask", "method": "cam", "variant": "", "supervision": "image",
    "subset": "test", "protocol": "oracle", "threshold": 0.5, "organ": "o", "patient": "p",
}  # fmt: skip


def measured():
    """Rows of four cases: both masks, none, and either; whole and in two regions."""
    mask = np.zeros((6, 9, 7), bool)
    mask[1:5, 2:7, 2:5] = True
    moved, nothing = np.roll(mask, 1, axis=2), np.zeros_like(mask)
    cases = {"a": (mask, moved), "b": (mask, nothing), "c": (nothing, moved), "d": (nothing,) * 2}
    for case, (reference, prediction) in cases.items():
        regions = {"apex": slice(1, 3), "base": slice(3, 5)} if reference.any() else None
        one = CaseReference(reference, (3.0, 0.5, 0.7), regions=regions, slicewise=True)
        yield from (KEYED | {"case": case} | row for row in one.measure(prediction))
        yield from (KEYED | {"case": case, "method": "lost"} | row for row in one.missing())


@pytest.fixture
def rows():
    return make_rows(measured())


def test_what_was_measured_is_sound_whatever_the_masks_are(rows):
    assert set(rows["status"]) == {status.value for status in Status}
    require_sound(rows, "x")


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("value", [-1e-3, -np.inf, np.inf])
def test_every_metric_keeps_to_its_range(rows, name, value):
    rows.loc[rows.index[0], name] = value
    with pytest.raises(DataError, match=rf"^x: {name} is outside .*; row of method cam, .*case a"):
        require_sound(rows, "x")


@pytest.mark.parametrize("name", [name for name in MEASURED if get_metric(name).range[1] == 1])
def test_shares_are_at_most_1(rows, name):
    rows.loc[rows.index[0], name] = 1.001
    with pytest.raises(DataError, match=f"{name} is "):
        require_sound(rows, "x")


@pytest.mark.parametrize(
    "name",
    [name for name in MEASURED if get_metric(name).needs is Needs.PAIR],
)
def test_a_metric_that_is_missing_needs_a_reason(rows, name):
    there = rows.index[(rows["status"] == "ok") & rows[name].notna()]
    rows.loc[there[0], name] = np.nan
    with pytest.raises(DataError, match=f"{name} is "):
        require_sound(rows, "x")
    rows[name] = np.nan  # not measured at all
    if name != "dsc":
        require_sound(rows, "x")


@pytest.mark.parametrize("name", [*KEY, "patient", "status"])
def test_what_names_a_row_is_never_missing(rows, name):
    rows[name] = rows[name].astype(object)
    rows.loc[rows.index[0], name] = None
    with pytest.raises(DataError, match=f"^x: {name} is missing"):
        require_sound(rows, "x")


@pytest.mark.parametrize("status", list(Status))
def test_a_status_is_what_the_counts_say(rows, status):
    whole = rows["status"] != "missing-pred"
    wrong = rows.index[whole & (rows["status"] != status.value)][0]
    rows.loc[wrong, "status"] = status.value
    if status is not Status.MISSING:
        with pytest.raises(DataError, match="status contradicts the counts"):
            require_sound(rows, "x")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("asd_mm", 50.0, "asd_mm is larger than"), ("hd95_mm", 9.0, "hd95_mm is larger than hd_mm"),
        ("hd_mm", 1e4, "hd_mm is larger than diagonal_mm"), ("assd_mm", 0.0, "assd_mm is not the"),
        ("asd_mm", 0.0, "does not lie between"), ("slices", -1, "slices is negative"),
        ("threshold", 1.2, "threshold is outside"), ("spacing_x", np.nan, "spacing_x is no length"),
        ("diagonal_mm", -3.0, "hd_mm is larger|diagonal_mm"), ("n_ref", 61, "n_ref|dsc is not"),
        ("protocol", "none", "no threshold was chosen"), ("region", "top", "region is not one of"),
    ],
)  # fmt: skip
def test_numbers_hang_together(rows, name, value, says):
    rows.loc[rows.index[0], name] = value
    with pytest.raises(DataError, match=says):
        require_sound(rows, "x")


def test_no_row_is_no_result(rows):
    with pytest.raises(DataError, match="x holds no row"):
        require_sound(rows.iloc[:0], "x")


def test_the_same_row_stands_once(rows):
    with pytest.raises(DataError, match=r"the same row stands twice; row of .*, and \d+ more"):
        require_sound(pd.concat([rows, rows.iloc[:1]], ignore_index=True), "x")
