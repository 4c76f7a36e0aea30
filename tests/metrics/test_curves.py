import numpy as np
import pandas as pd
import pytest

from camzoo.core.errors import ConfigError
from camzoo.metrics.curves import CURVE_COLUMNS, Curves, curve_records
from camzoo.metrics.sweep import threshold_sweep

THRESHOLDS = [0.2, 0.4, 0.6, 0.8]


def sweep(case, seed, subset="test", organs=("liver", "spleen")):
    rng = np.random.default_rng(seed)
    maps, labels = rng.random((2, 4, 5, 6)), rng.integers(0, 3, (4, 5, 6))
    counts = threshold_sweep(maps, labels, THRESHOLDS)
    return counts, curve_records(counts, organs, case=case, patient=case, subset=subset)


@pytest.fixture
def frame():
    return pd.concat([sweep("b", 1)[1], sweep("a", 2, "val")[1]], ignore_index=True)


def test_counts_survive_the_way_through_the_table(frame):
    curves = Curves.of(frame.sample(frac=1, random_state=0))
    assert curves.cases.to_dict("list") == {
        "case": ["a", "b"],
        "patient": ["a", "b"],
        "subset": ["val", "test"],
    }
    assert curves.thresholds.tolist() == THRESHOLDS
    order = [curves.organs.index(organ) for organ in ("liver", "spleen")]
    for position, (case, seed) in enumerate([("a", 2), ("b", 1)]):
        counts, _ = sweep(case, seed)
        np.testing.assert_array_equal(curves.tp[position, order], counts.tp)
        np.testing.assert_array_equal(curves.n_pred[position, order], counts.n_pred)
        np.testing.assert_array_equal(curves.n_ref[position, order], counts.n_ref)


def test_one_case_is_a_row_per_organ_and_threshold(frame):
    counts, records = sweep("b", 1)
    assert len(records) == 2 * 4
    assert set(records) == set(CURVE_COLUMNS)
    third = records[(records["organ"] == "spleen") & (records["threshold"] == 0.6)].iloc[0]
    assert (third["tp"], third["n_pred"], third["n_ref"]) == (
        counts.tp[1, 2],
        counts.n_pred[1, 2],
        counts.n_ref[1],
    )


def curves_of(dsc_counts):
    """One organ, one case, 10 reference voxels; each entry is (tp, n_pred) at one threshold."""
    return pd.DataFrame(
        {
            "organ": "o",
            "case": "c",
            "patient": "p",
            "subset": "test",
            "threshold": np.arange(1, len(dsc_counts) + 1) / 10,
            "tp": [tp for tp, _ in dsc_counts],
            "n_pred": [n for _, n in dsc_counts],
            "n_ref": 10,
        }
    )


HIGH, LOW = (8, 10), (2, 10)


@pytest.mark.parametrize(
    ("counts", "best"),
    [
        ([LOW, HIGH, LOW], 1),
        ([LOW, HIGH, HIGH, HIGH, LOW], 2),
        ([LOW, HIGH, HIGH, LOW], 1),  # an even plateau: the lower of the two in its middle
        ([HIGH, LOW, HIGH, HIGH, LOW], 2),  # the longer plateau
        ([HIGH, LOW, HIGH], 0),  # equally long: the lower one
        ([LOW, LOW, LOW, LOW], 1),
    ],
)
def test_the_middle_of_the_best_plateau_is_chosen(counts, best):
    assert Curves.of(curves_of(counts)).best() == best


def test_the_mean_over_organs_counts_and_organs_that_nobody_has_do_not():
    one = curves_of([(9, 10), (5, 10)])
    other = curves_of([(1, 10), (6, 10)]).assign(organ="q")  # 1.0 in sum against 1.1
    nobody = curves_of([(0, 0), (0, 900)]).assign(organ="r", n_ref=0)
    assert Curves.of(one).best() == 0
    assert Curves.of(pd.concat([one, other, nobody])).best() == 1


def test_counts_are_pooled_before_dsc_is_computed():
    # A large case decides: its counts weigh as much as it has voxels.
    small = curves_of([(10, 10), (0, 10)]).assign(case="s")
    large = curves_of([(500, 1000), (700, 1000)]).assign(case="l", n_ref=1000)
    assert Curves.of(pd.concat([small, large])).best() == 1


def test_a_case_without_any_organ_prefers_to_predict_nothing():
    empty = curves_of([(0, 50), (0, 0), (0, 0), (0, 0)]).assign(n_ref=0)
    assert Curves.of(empty).best_per_case() == [2]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.drop(columns="tp"), "lacks the columns tp"),
        (lambda f: f.iloc[1:], r"case b has 7 rows .* 2 organs at 4 thresholds need 8"),
        (lambda f: pd.concat([f, f.iloc[:1]]), "share .*'case': 'b'"),
        (
            lambda f: f.assign(subset=np.arange(len(f)) % 2),
            "case a has two patients or subsets",
        ),
    ],
)
def test_incomplete_tables_are_refused(frame, spoil, message):
    with pytest.raises(ConfigError, match=message):
        Curves.of(spoil(frame))


def test_an_absent_subset_is_named(frame):
    with pytest.raises(ConfigError, match="no case of the subset 'train', only test, val"):
        Curves.of(frame).subset("train")
