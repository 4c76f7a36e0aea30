import numpy as np
import pytest
from scipy.spatial.distance import cdist

from camzoo.metrics import nearest
from camzoo.metrics.nearest import NearestField, NearestPoint, RowIndex


def points_and_queries(rng, dimensions=3):
    shape = rng.integers(2, 20, dimensions)
    points, queries = (np.argwhere(rng.random(shape) < rng.uniform(0.01, 0.5)) for _ in range(2))
    points = points if len(points) else np.zeros((1, dimensions), dtype=np.intp)
    shift = rng.integers(-40, 40, dimensions) * rng.integers(0, 2)
    return points, queries + shift


def brute_force(points, queries, spacing):
    if not len(queries):
        return np.empty(0)
    return cdist(queries * spacing, points * spacing).min(axis=1)


def field_around(points, spacing):
    low, high = points.min(axis=0), points.max(axis=0)
    margin = (high - low) // 4 + 1
    return NearestField(points, spacing, low - margin, high + margin)


#: Spacings in which each axis is by far the coarsest or the finest once.
SPACINGS = [(1, 1, 1), (60, 0.5, 0.6), (0.5, 30, 1), (1, 0.7, 25), (0.02, 1, 1), (1, 1, 0.02)]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("way", [RowIndex, field_around])
def test_each_way_is_exact_where_it_answers(way, spacing):
    rng = np.random.default_rng(7)
    answered = 0
    for _ in range(25):
        points, queries = points_and_queries(rng)
        found = way(points, np.array(spacing)).distances(queries)
        expected = brute_force(points, queries, np.array(spacing))
        inside = np.isfinite(found)
        np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-12, atol=1e-12)
        answered += inside.sum()
    assert answered > 1000


@pytest.mark.parametrize("few", [0, 10**9])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_all_queries_are_answered_whichever_way_is_taken(monkeypatch, few, dimensions):
    monkeypatch.setattr(nearest, "_FEW", few)
    rng = np.random.default_rng(11)
    for _ in range(25):
        points, queries = points_and_queries(rng, dimensions)
        spacing = rng.uniform(0.3, 4, dimensions)
        index = NearestPoint(points, spacing)
        expected = brute_force(points, queries, spacing).round(10)
        for _ in range(3):  # the ways that are taken differ from call to call, the numbers do not
            np.testing.assert_array_equal(index.distances(queries), expected)


def test_points_scattered_over_a_huge_box_need_no_huge_table(monkeypatch):
    monkeypatch.setattr(nearest, "_FEW", 0)
    points = np.array([[0, 0, 0], [10**6, 10**6, 10**6]])
    index = NearestPoint(points, np.ones(3))
    for _ in range(3):
        assert index.distances(np.array([[0, 3, 4], [10**6, 10**6, 10**6 - 1]])).tolist() == [5, 1]


def test_rows_answer_near_queries_so_that_no_tree_is_needed():
    rng = np.random.default_rng(0)
    points = np.argwhere(rng.random((10, 40, 50)) < 0.2)
    assert np.isfinite(RowIndex(points, np.array([3.0, 0.6, 0.6])).distances(points + 1)).all()


def test_a_field_is_made_once_the_other_ways_have_cost_as_much(monkeypatch):
    """A box of 1 x 5 x 8 = 40 cells, 20 for each question of the tree: the second one pays it."""
    made = []

    class Spied(NearestField):
        def __init__(self, points, spacing, low, high):
            made.append((low.tolist(), high.tolist()))
            super().__init__(points, spacing, low, high)

    monkeypatch.setattr(nearest, "NearestField", Spied)
    index = NearestPoint(np.array([[0, 0, 0]]), np.array([5.0, 1.0, 2.0]))
    assert index.distances(np.array([[0, 4, 7]])).tolist() == [np.sqrt(16 + 196).round(10)]
    assert made == []
    assert index.distances(np.array([[0, 3, 2]])).tolist() == [5]
    assert made == [([0, 0, 0], [0, 4, 7])]
    # In the box no more is spent; outside it two questions of 20 pay for 2 x 5 x 8 cells only
    # together with two more.
    assert index.distances(np.array([[0, 4, 0], [0, 0, 7]])).tolist() == [4, 14]
    assert index.distances(np.array([[1, 0, 0], [1, 0, 6]])).tolist() == [5, 13]
    assert len(made) == 1
    assert index.distances(np.array([[1, 0, 0], [1, 0, 6], [0, 3, 0]])).tolist() == [5, 13, 3]
    assert made[1:] == [([0, 0, 0], [1, 4, 7])]


def test_no_field_is_larger_than_the_memory_it_may_take(monkeypatch):
    monkeypatch.setattr(nearest, "_LARGEST", 0)
    monkeypatch.setattr(nearest, "NearestField", None)
    index = NearestPoint(np.array([[0, 0, 0]]), np.ones(3))
    for _ in range(5):
        assert index.distances(np.array([[0, 3, 4]])).tolist() == [5]
