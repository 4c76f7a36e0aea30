"""Ranking schemes, worked out by hand with challengeR's definitions."""

import numpy as np
import pytest
from scipy import stats

from camzoo.metrics.ranking_schemes import SCHEMES
from camzoo.metrics.statistics import kendall_tau, wilcoxon_p

#: Five cases, three methods.
SCORES = np.array([[9.0, 8, 7], [9, 8, 7], [9, 8, 7], [0, 8, 9], [0, 8, 9]])
#: Means 5.4, 8, 7.8; medians 9, 8, 7; ranks of cases 1 2 3 three times and 3 2 1 twice, of which
#: the means are 1.8, 2, 2.2; of five cases no one-sided test wins but that of a method which is
#: better in all of them, and there is none.
BY_HAND = {
    "mean, then rank": [3, 1, 2],
    "median, then rank": [1, 2, 3],
    "rank, then mean": [1, 2, 3],
    "test, then rank": [1, 1, 1],
}


def test_every_scheme_is_worked_out_by_hand():
    assert {name: rank(SCORES).tolist() for name, rank in SCHEMES.items()} == BY_HAND


def test_ties_share_the_smaller_rank_in_cases_and_of_methods():
    scores = np.array([[1.0, 1, 0], [2, 2, 5]])
    # Ranks 1 1 3 and 2 2 1: means 1.5, 1.5, 2.
    assert SCHEMES["rank, then mean"](scores).tolist() == [1, 1, 3]
    assert SCHEMES["mean, then rank"](scores).tolist() == [2, 2, 1]


def test_wins_are_counted_one_sided():
    # The first is better in all of five cases: one-sided p = 1 / 32, two-sided 1 / 16.
    scores = np.stack([np.arange(5) + 1.0, np.arange(5) / 2, np.arange(5) / 2 + 0.1], axis=1)
    assert SCHEMES["test, then rank"](scores).tolist() == [1, 3, 2]
    assert SCHEMES["test, then rank"](scores[:, :2]).tolist() == [1, 2]


@pytest.mark.parametrize("n", [6, 40, 130])
def test_one_sided_tests_equal_scipy(n):
    differences = np.random.default_rng(n).normal(0.1, 1, (n, 5))
    method = "exact" if n <= 100 else "approx"
    expected = stats.wilcoxon(differences, axis=0, method=method, alternative="greater").pvalue
    np.testing.assert_allclose(wilcoxon_p(differences, greater=True), expected)


def test_one_sided_tests_with_ties_by_hand():
    # |d| has the ranks 2, 2, 2, 4. Of 16 signs 4 have a negative sum of at most 2: none of them or
    # one of the ties is negative. The other way round 15 have a positive sum of at least 2.
    differences = np.array([1.0, 0.0, -1.0, 2.0, 1.0])
    found = wilcoxon_p(np.stack([differences, -differences], axis=1), greater=True)
    assert found == pytest.approx([4 / 16, 15 / 16])


def test_tau_equals_scipy_with_ties():
    rng = np.random.default_rng(2)
    for _ in range(5):
        one, other = rng.integers(0, 6, (2, 12))
        assert kendall_tau(one, other) == pytest.approx(stats.kendalltau(one, other).statistic)
    assert np.isnan(kendall_tau([1, 1], [1, 2]))
    assert kendall_tau([1, 2, 3], [9, 4, 1]) == -1
