"""Every rung of the ladder, worked out by hand from masks, on two cases of unlike size."""

import numpy as np
import pandas as pd
import pytest

from camzoo.metrics.case import CaseReference
from camzoo.metrics.ladder import RUNGS, distances
from camzoo.metrics.overlap import dice

BY = ["method"]
SPACING = (3.0, 0.5, 0.5)
HOW = {rung.name: rung.score for rung in RUNGS}


def masks():
    """Two cases [z, y, x]: a prediction that spills over the end of the organ, and none."""
    first, second = np.zeros((5, 9, 7), bool), np.zeros((4, 8, 6), bool)
    first[1:4, 2:6, 1:5] = True  # 3 slices of 16
    spilt = np.zeros_like(first)
    spilt[2:5, 2:6, 1:3] = True  # 2 slices of 8 within, 1 of 8 beyond
    second[2, 1:3, 1:3] = True  # 1 slice of 4
    return [(first, spilt), (second, np.zeros_like(second))]


@pytest.fixture
def rows():
    records = []
    for i, (reference, prediction) in enumerate(masks()):
        one = CaseReference(reference, SPACING, slicewise=True)
        key = {"method": "m", "organ": "o", "case": f"c{i}", "patient": f"p{i}"}
        records += [key | one.measure(prediction)[0]]
    return pd.DataFrame(records)


def score(rows, name):
    return HOW[name](rows, BY)["m"]


def test_volumes(rows):
    assert score(rows, "volumes") == pytest.approx((2 * 16 / (24 + 48) + 0) / 2)


def test_volumes_cut_to_the_organ_lose_what_lies_beyond(rows):
    assert score(rows, "volumes cut to the organ") == pytest.approx((2 * 16 / (16 + 48) + 0) / 2)


def test_slices(rows):
    # 2 x 8 / (8 + 16) in two slices; 0 in one that is missed, one that is spilt, one of the second
    # case; of nine slices one of the first case and three of the second are empty.
    overlap = 2 * (2 * 8 / 24)
    assert score(rows, "slices, empty = 1") == pytest.approx((overlap + 4) / 9)
    assert score(rows, "slices, empty dropped") == pytest.approx(overlap / 5)
    assert score(rows, "slices with the organ") == pytest.approx(overlap / 4)


def test_slices_equal_plain_loops(rows):
    pairs = [pair for case in masks() for pair in zip(*case, strict=True)]
    scores = np.array([dice((a & b).sum(), b.sum(), a.sum()) for a, b in pairs])
    there, either = (np.array([f(a, b) for a, b in pairs]) for f in (
        lambda a, _: a.any(), lambda a, b: (a | b).any()))  # fmt: skip
    assert score(rows, "slices, empty = 1") == pytest.approx(scores.mean())
    assert score(rows, "slices, empty dropped") == pytest.approx(scores[either].mean())
    assert score(rows, "slices with the organ") == pytest.approx(scores[there].mean())


def test_pooled(rows):
    assert score(rows, "pooled") == pytest.approx(2 * 16 / (24 + 52))
    name = "pooled over slices with the organ, oracle threshold"
    assert score(rows, name) == pytest.approx(2 * 16 / (16 + 52))


def test_a_missing_prediction_is_one_without_voxels(rows):
    one = CaseReference(masks()[1][0], SPACING, slicewise=True)
    missing = pd.DataFrame([rows.iloc[1][["method", "organ", "case", "patient"]].to_dict()
                            | one.missing()[0]])  # fmt: skip
    lost = pd.concat([rows.iloc[:1], missing], ignore_index=True)
    for name in HOW:
        assert score(lost, name) == pytest.approx(score(rows, name))


def test_organs_are_averaged_and_those_that_are_nowhere_are_left_out(rows):
    nothing = rows.assign(organ="nowhere", n_ref=0, n_pred=0, tp=0, n_pred_there=0, dsc=1.0,
                          dsc_2d=1.0, slices=0, slices_failed=0, slices_there=0,
                          status="empty-both")  # fmt: skip
    other = rows.assign(organ="q", tp=0, dsc=0.0, dsc_2d=0.0)
    both = pd.concat([rows, other, nothing], ignore_index=True)
    for name in HOW:
        expected = (score(rows, name) + score(other, name)) / 2
        assert score(both, name) == pytest.approx(expected)


def test_rows_of_before_slices_were_counted_have_some_rungs_alone(rows):
    old = rows.drop(columns=["slices_all", "slices_there", "n_pred_there"])
    lacking = {name for name, how in HOW.items() if how(old, BY) is None}
    assert lacking == {
        "volumes cut to the organ", "slices, empty = 1", "slices, empty dropped",
        "slices with the organ", "pooled over slices with the organ, oracle threshold", "all of it",
    }  # fmt: skip


def test_a_line_that_lacks_counts_of_slices_in_some_cases_has_no_number_there(rows):
    """Of records that are put together, those of before they were counted lack them."""
    names = ["slices", "slices_failed", "slices_all", "slices_there", "n_pred_there"]
    old = rows.assign(method="old")
    old.loc[old.index[0], names] = np.nan
    together = pd.concat([rows, old], ignore_index=True)
    for name, how in HOW.items():
        found = how(together, BY)
        assert found["m"] == pytest.approx(score(rows, name))
        needs = "slices" in name or name in ("volumes cut to the organ", "all of it")
        assert found.reindex(["old"]).isna().item() is needs
    measured = distances(together, BY)
    assert "old" in measured["ASD in volumes (mm)"]
    assert "old" not in measured["ASD per slice (mm)"]


def test_distances_per_slice_in_pixels(rows):
    found = distances(rows, BY)
    assert found["ASD in volumes (mm)"]["m"] == pytest.approx(rows["asd_mm"][0])
    assert found["ASD per slice (mm)"]["m"] == pytest.approx(rows["asd_2d_mm"][0])
    assert found["ASD per slice (pixels)"]["m"] == pytest.approx(rows["asd_2d_mm"][0] / 0.5)


@pytest.mark.parametrize(
    ("spacing", "pixel"), [((1.2, 3.0, 1.2), 1.2), ((0.8, 0.8, 4.0), 0.8), ((3.0, 0.5, 0.6), None)]
)
def test_a_pixel_is_what_two_axes_share(rows, spacing, pixel):
    moved = rows.assign(**dict(zip(["spacing_z", "spacing_y", "spacing_x"], spacing, strict=True)))
    found = distances(moved, BY)
    if pixel is None:
        assert "ASD per slice (pixels)" not in found
    else:
        pixels = found["ASD per slice (pixels)"]["m"]
        assert pixels == pytest.approx(found["ASD per slice (mm)"]["m"] / pixel)
