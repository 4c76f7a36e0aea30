"""Where maps point and how alike they are: by hand, and against scikit-learn and SciPy."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from camzoo.core.errors import DataError
from camzoo.metrics.localisation import (
    average_precision,
    energy,
    pointing,
    rank_correlation,
    standard_ranks,
    thirds,
)

#: Not square; the organ is the middle of the upper row.
MASK = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], bool)


def test_average_precision_by_hand():
    """Positives are first and third: 1/2 * 1 + 1/2 * 2/3."""
    scores = np.array([[0.9, 0.8, 0.7], [0.2, 0.1, 0.0]], np.float16)
    positive = np.array([[True, False, True], [False, False, False]])
    assert average_precision(scores, positive) == pytest.approx(1 / 2 + 1 / 3)
    assert average_precision(-scores, positive) == pytest.approx((1 / 4 + 2 / 6) / 2)


def test_equal_scores_are_taken_together():
    """At 0.5 one of two is found among three, at 0 the other among six: 1/2 * 1/3 + 1/2 * 2/6."""
    scores, positive = np.array([0.5, 0.5, 0.5, 0, 0, 0]), np.array([1, 0, 0, 0, 0, 1], bool)
    assert average_precision(scores, positive) == pytest.approx(1 / 3)
    assert average_precision(scores[[2, 1, 0, 5, 4, 3]], positive) == pytest.approx(1 / 3)


def test_a_constant_map_has_the_share_of_the_organ():
    assert average_precision(np.zeros((3, 4)), MASK) == pytest.approx(2 / 12)


def test_average_precision_without_a_positive_is_not_a_number():
    assert math.isnan(average_precision(np.ones((2, 3)), np.zeros((2, 3), bool)))


def test_slices_are_pooled_not_averaged():
    """The second slice lights up without an organ, below what the first has in it."""
    maps, organ = np.zeros((2, 3, 4)), np.stack([MASK, np.zeros_like(MASK)])
    maps[0][MASK], maps[1, 0, 0] = (1.0, 0.2), 0.5
    assert average_precision(maps, organ) == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)


@pytest.mark.parametrize("levels", [3, 50, 10_000])
def test_average_precision_is_that_of_scikit_learn(levels):
    oracle = pytest.importorskip("sklearn.metrics").average_precision_score
    generator = np.random.default_rng(levels)
    for shape in ((7, 11), (2, 5, 9)):
        scores = generator.integers(0, levels, shape) / levels
        positive = generator.random(shape) < 0.2
        assert average_precision(scores, positive) == pytest.approx(
            oracle(positive.ravel(), scores.ravel()), abs=1e-12
        )


def test_pointing_asks_for_the_maximum_alone():
    values = np.full((3, 4), 0.9)
    values[0, 2] = 1
    assert pointing(values, MASK) == 1
    values[2, 3] = 1.1  # a pixel away from nothing of the organ
    assert pointing(values, MASK) == 0


def test_places_that_share_the_maximum_count_for_their_part():
    values = np.zeros((3, 4))
    values[0, 2] = values[1, 2] = values[2, 2] = values[1, 0] = 1
    assert pointing(values, MASK) == 1 / 4
    assert pointing(np.ones((3, 4)), MASK) == pytest.approx(2 / 12)


def test_energy_by_hand():
    values = np.zeros((3, 4), np.float16)
    values[0] = 1, 2, 0.5, 0.5
    values[2, 0] = 1
    assert energy(values, MASK) == 2.5 / 5
    assert energy(np.ones((3, 4)), MASK) == pytest.approx(2 / 12)
    assert energy(3 * values, MASK) == energy(values, MASK)


def test_an_empty_map_points_nowhere():
    assert pointing(np.zeros((3, 4)), MASK) == energy(np.zeros((3, 4)), MASK) == 0


def correlated(one, other):
    ranks = (standard_ranks(np.atleast_2d(values)) for values in (one, other))
    return rank_correlation(*ranks)


def test_rank_correlation_by_hand():
    """Ranks 1 2 3 4 and 1 2 4 3 differ by 0 0 1 1: 1 - 6 * 2 / (4 * 15)."""
    one, other = np.array([1.0, 2, 3, 4]), np.array([0, 5, 100, 6])
    assert correlated(one, other) == pytest.approx(1 - 12 / 60)
    assert correlated(one, np.exp(one)) == pytest.approx(1)
    assert correlated(one, -one) == pytest.approx(-1)


def test_rank_correlation_of_rows_is_that_of_scipy():
    generator = np.random.default_rng(1)
    one = generator.integers(0, 4, (6, 40)).clip(1)  # many ties at the bottom, as a ReLU leaves
    other = generator.random((6, 40)) + 0.2 * one
    expected = [spearmanr(*rows).statistic for rows in zip(one, other, strict=True)]
    assert correlated(one, other) == pytest.approx(expected)
    assert len(set(np.round(expected, 6))) == 6


def test_constant_maps_have_no_order():
    flat, slope = np.ones(5), np.arange(5)
    assert correlated(flat, slope).tolist() == correlated(slope, flat).tolist() == [0]
    assert np.isnan(correlated(flat, 3 * flat)).tolist() == [True]


def test_thirds_by_hand():
    assert thirds(np.array([50, 10, 30, 20, 60, 40])).tolist() == [2, 0, 1, 0, 2, 1]
    assert thirds(np.array([7.0, 7, 7, 7])).tolist() == [0, 0, 0, 0]
    assert thirds(np.array([5.0])).tolist() == [0]
    assert thirds(np.array([])).tolist() == []


@pytest.mark.parametrize("formula", [average_precision, pointing, energy])
def test_shapes_have_to_agree(formula):
    with pytest.raises(DataError, match=r"expected two arrays of one shape"):
        formula(np.ones((4, 3)), MASK)
    with pytest.raises(DataError, match="not empty"):
        formula(np.ones((0, 4)), np.ones((0, 4), bool))


def test_no_number_has_no_rank():
    with pytest.raises(DataError, match="NaN"):
        average_precision(np.array([1.0, np.nan]), np.array([True, False]))
