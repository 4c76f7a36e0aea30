"""Ranks and their intervals: by hand, by plain loops, and on data with known truth."""

from itertools import product

import numpy as np
import pytest

from benchmarks.simulations import rank_coverage, trained
from camzoo.metrics.ranks import Units, rank_methods
from camzoo.metrics.statistics import among_first, bootstrap_means


def spread(patients, gaps, noise=1.0, seed=0):
    """Scores of methods that lie ``gaps`` apart."""
    rng = np.random.default_rng(seed)
    return np.asarray(gaps) + noise * rng.normal(size=(patients, len(gaps)))


def test_methods_far_apart_have_one_rank_each():
    ranks = rank_methods(spread(12, [0.0, 30.0, 10.0, 20.0]), Units.of(range(12)))
    assert ranks.rank.tolist() == ranks.low.tolist() == ranks.high.tolist() == [4, 1, 3, 2]
    assert ranks.podium[:, 2].tolist() == [0, 1, 1, 1]
    assert (ranks.p == ranks.p.T).all()
    assert np.diag(ranks.p).tolist() == [1.0] * 4


def test_what_patients_cannot_tell_apart_may_have_either_rank():
    scores = spread(20, [0.0, 0.05, 9.0])
    ranks = rank_methods(scores, Units.of(range(20)))
    assert ranks.low.tolist() == [2, 2, 1]
    assert ranks.high.tolist() == [3, 3, 1]


def test_equal_methods_are_one_rank_and_share_the_podium():
    scores = spread(10, [0.0, 1.0])
    ranks = rank_methods(scores[:, [0, 1, 0, 1, 0]], Units.of(range(10)))
    assert ranks.rank.tolist() == [3, 1, 3, 1, 3]
    assert ranks.p[0, 2] == 1
    # Two methods that are one share what is left of three places with three that are one.
    np.testing.assert_allclose(ranks.podium.sum(axis=0), [1, 2, 3])
    np.testing.assert_allclose(ranks.podium[0], ranks.podium[2])


@pytest.mark.parametrize("patients", [1, 2, 5])
def test_of_few_patients_nothing_follows(patients):
    ranks = rank_methods(spread(patients, [0.0, 50.0, 90.0], 1e-3), Units.of(range(patients)))
    assert ranks.rank.tolist() == [3, 2, 1]
    assert (ranks.low.tolist(), ranks.high.tolist()) == ([1] * 3, [3] * 3)


def test_a_difference_that_is_the_same_everywhere_is_sure_from_six_patients_on():
    base = np.random.default_rng(1).normal(size=6)
    ranks = rank_methods(np.stack([base, base + 1], axis=1), Units.of(range(6)))
    assert ranks.high.tolist() == [2, 1]
    assert ranks.p[0, 1] == 2 / 2**6


def test_the_podium_is_that_of_all_draws_of_three_cases():
    """As challengeR counts it: cases drawn with replacement, ranked by their means."""
    scores = np.array([[3.0, 2.0, 1.0, 0.0], [0.0, 4.0, 1.0, 2.0], [1.0, 0.0, 5.0, 4.5]])
    drawn = product(range(3), repeat=3)
    means = np.array([scores[list(cases)].mean(axis=0) for cases in drawn]).round(12)
    ranks = rank_methods(scores, Units.of(range(3)), replicates=20_000)
    for places in (1, 2, 3):
        expected = among_first(means, places)
        np.testing.assert_allclose(ranks.podium[:, places - 1], expected, atol=0.015)


def test_of_one_training_the_draws_are_those_of_any_bootstrap_of_means():
    scores, patients = spread(18, [0.0, 0.2, 0.4, 0.1]), np.repeat(range(9), 2)
    ranks = rank_methods(scores, Units.of(patients), replicates=300, seed=4)
    means = bootstrap_means(scores, patients, replicates=300, seed=4)
    for places in (1, 3):
        np.testing.assert_allclose(ranks.podium[:, places - 1], among_first(means, places))


def test_places_that_are_tied_for_are_shared():
    scores = [[5.0, 5.0, 1.0, 0.0], [1.0, 3.0, 3.0, 3.0]]
    assert among_first(scores, 1) == pytest.approx([1 / 4, 1 / 4 + 1 / 6, 1 / 6, 1 / 6])
    assert among_first(scores, 3) == pytest.approx([1 / 2, 1, 1, 1 / 2])
    assert among_first(scores, 9).tolist() == [1] * 4


def test_adjusted_p_equals_a_plain_loop():
    """Step down through the pairs: in each step only pairs that are no clearer compete."""
    scores = spread(15, [0.0, 0.4, 0.5, 1.5], seed=3)
    drawn = np.random.default_rng(0).multinomial(15, [1 / 15] * 15, size=200)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    observed, replicated = [], []
    for i, j in pairs:
        d = scores[:, i] - scores[:, j]
        error = d.std(ddof=1) / np.sqrt(15)
        observed.append(abs(d.mean()) / error)
        column = []
        for counts in drawn:
            sample = np.repeat(d, counts)
            here = max(sample.std(ddof=1) / np.sqrt(15), 0.35 * error)
            column.append(np.sqrt(15 / 14) * abs(sample.mean() - d.mean()) / here)
        replicated.append(column)
    order, p = np.argsort(observed)[::-1], {}
    for step, pair in enumerate(order):
        largest = np.max([replicated[k] for k in order[step:]], axis=0)
        own = (1 + np.count_nonzero(largest >= observed[pair])) / 201
        p[pairs[pair]] = max(own, *p.values()) if p else own
    found = rank_methods(scores, Units.of(range(15)), replicates=200).p
    assert {pair: found[pair] for pair in pairs} == pytest.approx(p)
    assert min(p.values()) < 0.05 < max(p.values())


def test_trainings_that_differ_widen_what_patients_alone_leave_open():
    rng = np.random.default_rng(5)
    means = np.array([0.0, 1.2])
    scores, units = trained(rng, means, 40, 1, 3, spread=(0.0, 1.5))
    patients_alone = Units.of(units.patient, units.case)
    assert rank_methods(scores, patients_alone).p[0, 1] < rank_methods(scores, units).p[0, 1]


def test_cases_weigh_alike_however_often_they_were_predicted():
    scores = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    units = Units.of(["a", "a", "a", "b"], ["a", "a", "a", "b"], seeds=[0, 1, 2, 0])
    assert rank_methods(scores, units).rank.tolist() == [2, 1]


@pytest.mark.parametrize(
    "layout",
    [
        {"patients": 20, "folds": 1, "seeds": 1},
        {"patients": 60, "folds": 5, "seeds": 3},
        {"patients": 20, "folds": 5, "seeds": 1},
    ],
)
def test_intervals_of_equal_methods_hold_together(layout):
    every, one = rank_coverage(200, np.zeros(8), replicates=300, **layout)
    assert 0.93 <= every <= 0.985
    assert one > every


def test_intervals_of_other_methods_hold_together():
    layout = {"patients": 20, "folds": 1, "seeds": 1}
    assert rank_coverage(150, [0, 0, 0, 0.5, 1, 1], replicates=300, **layout)[0] >= 0.93
