from itertools import product

import numpy as np
import pytest
from scipy import stats

from benchmarks.simulations import clustered, coverage, false_alarms
from camzoo.core.errors import ConfigError
from camzoo.metrics import statistics
from camzoo.metrics.statistics import (
    bootstrap_interval,
    bootstrap_means,
    first_probability,
    holm,
    paired_tests,
    wilcoxon_p,
)


def test_intervals_cover_what_they_claim_only_when_patients_are_resampled():
    assert 0.93 <= coverage(25, 2000, by_patient=True) <= 0.97
    assert coverage(25, 2000, by_patient=False) < 0.75


@pytest.mark.parametrize("patients", [8, 60])
def test_coverage_holds_for_few_and_for_many_patients(patients):
    assert 0.93 <= coverage(patients, 2000, by_patient=True) <= 0.97


def test_bootstrap_means_equal_a_plain_loop():
    values = np.array([1.0, 2.0, 6.0, 3.0])
    patients = np.array(["a", "a", "b", "c"])
    rng = np.random.default_rng(3)
    expected = []
    for drawn in rng.multinomial(3, [1 / 3] * 3, size=50):
        sample = np.concatenate(
            [np.tile(values[patients == p], n) for p, n in zip("abc", drawn, strict=True)]
        )
        expected.append(sample.mean())
    found = bootstrap_means(values, patients, replicates=50, seed=3)
    np.testing.assert_allclose(found, expected)
    both = bootstrap_means(np.stack([values, -values], axis=1), patients, replicates=50, seed=3)
    np.testing.assert_allclose(both, np.stack([found, -found], axis=1))


def test_with_one_value_per_patient_the_interval_is_near_the_t_interval():
    values = np.random.default_rng(1).normal(size=40)
    low, high = bootstrap_interval(values, np.arange(40), replicates=20000)
    expected = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert (low, high) == pytest.approx(expected, abs=0.02)


def test_the_same_seed_gives_the_same_interval():
    values, patients = clustered(np.random.default_rng(0), 25)
    assert bootstrap_interval(values, patients) == bootstrap_interval(values, patients)
    assert bootstrap_interval(values, patients) != bootstrap_interval(values, patients, seed=1)


def test_one_patient_gives_no_interval():
    assert np.isnan(bootstrap_interval([1.0, 2.0], ["a", "a"])).all()
    with pytest.raises(ConfigError, match="between 0 and 1, got 95"):
        bootstrap_interval([1.0, 2.0], ["a", "b"], level=95)


def test_wilcoxon_by_hand():
    # Ranks of |d|: 1, 2, 3, 4, 5; the negative one has rank 1. Of 32 signs 4 have a sum of negative
    # ranks of at most 1 or of at least 14: p = 4 / 32.
    differences = np.array([-0.1, 0.2, 0.3, 0.4, 0.5])
    found = wilcoxon_p(np.stack([differences, -differences, np.zeros(5)], axis=1))
    assert found == pytest.approx([0.125, 0.125, 1.0])


def test_wilcoxon_equals_scipy_where_there_are_no_ties():
    rng = np.random.default_rng(6)
    for n in (4, 9, 30, 100, 130):
        differences = rng.normal(0.3, 1, (n, 3))
        method = "exact" if n <= 100 else "approx"
        expected = stats.wilcoxon(differences, axis=0, method=method).pvalue
        np.testing.assert_allclose(wilcoxon_p(differences), expected)


def test_wilcoxon_with_ties_equals_all_sign_flips():
    rng = np.random.default_rng(7)
    for _ in range(5):
        differences = rng.integers(-3, 5, 9).astype(float)
        kept = differences[differences != 0]
        ranks = stats.rankdata(np.abs(kept))
        flips = np.array(list(product([0, 1], repeat=len(kept)))) @ ranks
        centre = ranks.sum() / 2
        observed = abs(ranks[kept > 0].sum() - centre)
        expected = np.mean(np.abs(flips - centre) >= observed - 1e-9)
        assert wilcoxon_p(differences[:, None]) == pytest.approx([expected])


def test_wilcoxon_with_ties_by_hand():
    # |d| without the zero: 1, 1, 1, 2 with the ranks 2, 2, 2, 4. The negative sum is 2; of 16 signs
    # 4 have a sum of at most 2 (none or one of the three ties), and 4 the mirrored sum.
    assert wilcoxon_p([[1.0], [0.0], [-1.0], [2.0], [1.0]]) == pytest.approx([0.5])
    # The ranks 1.5, 1.5 have the sums 0, 1.5, 1.5, 3: the middle ones are as even as can be.
    assert wilcoxon_p([[1.0], [-1.0]]).tolist() == [1.0]


@pytest.mark.parametrize("n", [7, 50, 99])
def test_wilcoxon_drops_zeros_as_scipy_does_and_is_exact(n):
    differences = np.random.default_rng(n).normal(0.2, 1, (n, 6))
    differences[::7, 1:4] = 0
    kept = [column[column != 0] for column in differences.T]
    expected = [stats.wilcoxon(column, method="exact").pvalue for column in kept]
    np.testing.assert_allclose(wilcoxon_p(differences), expected, rtol=1e-12)


@pytest.mark.parametrize("n", [160, 900])
def test_wilcoxon_of_many_pairs_equals_scipy_with_ties_and_zeros(n):
    rng = np.random.default_rng(n)
    differences = np.stack(
        [rng.integers(-low, high, n) for low, high in [(3, 5), (9, 9), (40, 55), (1, 8)]], axis=1
    )
    expected = stats.wilcoxon(differences, axis=0, method="approx").pvalue
    np.testing.assert_allclose(wilcoxon_p(differences), expected, rtol=1e-12)


def test_pairs_that_are_ranked_in_parts_are_ranked_alike(monkeypatch):
    scores = np.random.default_rng(8).integers(0, 9, (14, 9)).astype(float)
    whole = paired_tests(scores, 4, chosen_here=True)
    monkeypatch.setattr(statistics, "_AT_ONCE", 40)
    np.testing.assert_array_equal(whole, paired_tests(scores, 4, chosen_here=True))


def test_differences_that_rounding_tells_apart_are_ties():
    base = np.random.default_rng(0).random(10)
    assert wilcoxon_p(((base + 1.0) - base)[:, None]) == pytest.approx([2 / 2**10])
    assert wilcoxon_p(((base * 3) / 3 - base)[:, None]).tolist() == [1.0]


def test_holm_by_hand():
    # Sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2 (raised to the one before), 0.4 * 1.
    assert holm([0.4, 0.01, 0.03, 0.02]) == pytest.approx([0.4, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


def test_false_alarms_stay_below_five_percent_although_the_best_is_picked_afterwards():
    assert false_alarms(400, all_pairs=True) <= 0.05
    # Holm over the rivals of the best alone, as is often done, promises too much:
    assert false_alarms(400, all_pairs=False) > 0.07


def test_a_rival_named_beforehand_needs_fewer_tests():
    scores = np.random.default_rng(5).normal(size=(15, 4))
    p, adjusted = paired_tests(scores, 2, chosen_here=False)
    assert np.isnan(p[2])
    others = [0, 1, 3]
    expected = [stats.wilcoxon(scores[:, i] - scores[:, 2]).pvalue for i in others]
    np.testing.assert_allclose(p[others], expected)
    np.testing.assert_allclose(adjusted[others], holm(expected))


def test_a_clear_difference_is_found():
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(20, 1)) + 0.1 * rng.normal(size=(20, 3)) + [0.0, 0.5, 0.0]
    _, adjusted = paired_tests(scores, 1, chosen_here=True)
    assert adjusted[0] < 0.001
    assert adjusted[2] < 0.001


def test_one_method_has_no_rival():
    assert np.isnan(paired_tests(np.zeros((5, 1)), 0, chosen_here=True)).all()


def test_probability_of_being_first():
    scores = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert first_probability(scores, ["a", "b"]).tolist() == [1, 0, 0]
    tied = np.ones((4, 2))
    assert first_probability(tied, range(4)) == pytest.approx([0.5, 0.5])
    # Two patients that disagree: first where both draws favour it, half where they are split.
    split = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert first_probability(split, ["a", "b"]) == pytest.approx([0.5, 0.5], abs=0.03)


def test_probability_of_being_first_resamples_patients_not_cases():
    # One patient with nine cases favours the second method, two patients with one each the first.
    patients = ["a"] * 9 + ["b", "c"]
    scores = np.array([[0.0, 1.0]] * 9 + [[1.0, 0.0]] * 2)
    # The second is first whenever patient a is drawn: 1 - (2/3)³.
    assert first_probability(scores, patients)[1] == pytest.approx(1 - 8 / 27, abs=0.03)
