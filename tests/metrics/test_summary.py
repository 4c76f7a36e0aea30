import numpy as np
import pandas as pd
import pytest

from camzoo.core.errors import ConfigError
from camzoo.metrics.statistics import bootstrap_interval
from camzoo.metrics.summary import CELL, grade, summarise


def row(case, tp, n_pred, n_ref, asd=np.nan, **more):
    return {
        "method": "cam",
        "organ": "o",
        "case": case,
        "patient": case[0],
        "tp": tp,
        "n_pred": n_pred,
        "n_ref": n_ref,
        "asd_mm": asd,
        "diagonal_mm": 100.0,
        "status": "ok",
        **more,
    }


@pytest.fixture
def rows():
    """Three good cases of two patients, one missed, one invented, one with nothing, one missing."""
    return pd.DataFrame(
        [
            row("a1", 5, 10, 10, asd=2.0),
            row("a2", 6, 10, 10, asd=4.0),
            row("b1", 9, 10, 10, asd=1.0),
            row("c1", 0, 0, 10, status="empty-pred"),
            row("d1", 0, 10, 0, status="empty-ref"),
            row("e1", 0, 0, 0, asd=0.0, status="empty-both"),
            row("f1", None, None, 10, status="missing-pred"),
        ]
    )


def line(rows, metric, **options):
    frame = summarise(rows, metric, ["method"], **options)
    assert len(frame) == 1
    return frame.iloc[0]


def test_distances_are_averaged_over_defined_cases_and_with_failures_at_the_diagonal(rows):
    found = line(rows, "asd_mm")
    assert (found["n"], found["n_empty"], found["n_failed"]) == (3, 1, 3)
    assert found["n_patients"] == 2
    assert found["mean"] == pytest.approx(7 / 3)
    assert found["std"] == pytest.approx(np.std([2, 4, 1], ddof=1))
    assert found["median"] == 2
    assert (found["q1"], found["q3"]) == (1.5, 3)
    assert found["mean_with_failures"] == pytest.approx((2 + 4 + 1 + 3 * 100) / 6)
    assert np.isnan(found["pooled"])


def test_a_ratio_is_zero_where_one_mask_is_empty_and_counted(rows):
    found = line(rows, "dsc")
    assert (found["n"], found["n_empty"], found["n_failed"]) == (6, 1, 3)
    # The missing prediction is 0 like the others that failed.
    assert found["mean"] == pytest.approx((0.5 + 0.6 + 0.9) / 6)
    assert found["mean_with_failures"] == pytest.approx(2.0 / 6)
    assert found["pooled"] == pytest.approx(2 * 20 / (40 + 50))


def test_the_interval_resamples_patients(rows):
    found = line(rows, "asd_mm", level=0.9, seed=4)
    expected = bootstrap_interval([2.0, 4.0, 1.0], ["a", "a", "b"], level=0.9, seed=4)
    assert (found["ci_low"], found["ci_high"]) == expected


def test_seeds_are_averaged_before_cases_and_stand_apart(rows):
    good = rows[:3]
    two = pd.concat([good.assign(seed=0), good.assign(seed=1, asd_mm=[4.0, 6.0, 3.0])])
    found = line(two, "asd_mm")
    assert (found["n"], found["n_seeds"]) == (3, 2)
    assert found["mean"] == pytest.approx((3 + 5 + 2) / 3)
    assert found["std"] == pytest.approx(np.std([3, 5, 2], ddof=1))
    assert found["seed_std"] == pytest.approx(np.std([7 / 3, 13 / 3], ddof=1))
    assert (found["seed_low"], found["seed_high"]) == pytest.approx((7 / 3, 13 / 3))
    assert np.isnan(line(good, "asd_mm")["seed_std"])
    assert np.isnan(line(good, "asd_mm")["seed_low"])


def test_organs_are_averaged_within_a_case_when_they_are_not_kept_apart(rows):
    good = rows[:2]
    two = pd.concat([good, good.assign(organ="p", asd_mm=[4.0, 10.0])])
    apart = summarise(two, "asd_mm", ["method", "organ"]).set_index("organ")
    assert apart.loc["o", "mean"] == 3
    assert line(two, "asd_mm")["mean"] == pytest.approx((3 + 7) / 2)
    assert line(two, "asd_mm")["n"] == 2
    other = good.assign(organ="p", tp=[1, 1])
    assert line(pd.concat([good, other]), "dsc")["pooled"] == pytest.approx(
        (2 * 11 / 40 + 2 * 2 / 40) / 2
    )


def test_groups_are_the_columns_of_a_cell_by_default_and_null_is_a_value(rows):
    frame = pd.concat(
        [rows[:3].assign(protocol=p, variant=v) for p in ("oracle", "fixed") for v in (None, "x=1")]
    )
    found = summarise(frame, "dsc")
    assert [c for c in CELL if c in found] == ["method", "variant", "protocol", "organ"]
    assert len(found) == 4
    assert (found["n"] == 3).all()


def test_nothing_defined_is_no_number(rows):
    found = line(rows[3:4], "asd_mm")
    assert found["n"] == 0
    assert np.isnan(found[["mean", "std", "median", "ci_low"]].astype(float)).all()
    assert found["mean_with_failures"] == 100


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_number_that_was_not_measured_is_no_failure_but_an_error(rows, number):
    rows.loc[1, "asd_mm"] = number
    with pytest.raises(ConfigError, match=r"method cam, case a2, organ o: was not measured \(asd_"):
        grade(rows, "asd_mm")


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_status_that_is_not_ok_is_a_failure_even_with_both_masks(rows, number):
    rows.loc[1, ["asd_mm", "status"]] = [number, "crashed"]
    found = line(rows, "asd_mm")
    assert (found["n"], found["n_failed"]) == (2, 4)
    assert found["mean_with_failures"] == pytest.approx((2 + 1 + 4 * 100) / 6)


def test_without_a_slice_in_common_a_mean_over_slices_is_undefined(rows):
    good = rows[:3].assign(asd_2d_mm=[1.0, np.nan, 3.0], slices=[4, 0, 5])
    found = line(good, "asd_2d_mm")
    assert (found["n"], found["n_failed"], found["mean"]) == (2, 1, 2.0)
    assert found["mean_with_failures"] == pytest.approx(104 / 3)
    with pytest.raises(ConfigError, match=r"case a2.*not measured"):
        grade(good.assign(slices=[4, 1, 5]), "asd_2d_mm")


def test_a_failure_without_its_worst_case_is_refused(rows):
    rows.loc[3, "diagonal_mm"] = np.nan
    with pytest.raises(ConfigError, match=r"case c1.*failed, but lacks.*diagonal of the volume"):
        grade(rows, "asd_mm")


def test_grading_marks_each_row(rows):
    graded = grade(rows, "asd_mm").set_index("case")
    assert graded.index[graded["empty"]].tolist() == ["e1"]
    assert graded.index[graded["failed"]].tolist() == ["c1", "d1", "f1"]
    assert graded["value_with_failures"].isna().sum() == 1
