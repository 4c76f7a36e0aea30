import numpy as np
import pytest
from scipy.spatial.distance import cdist

from camzoo.metrics import nearest
from camzoo.metrics.nearest import DistanceField, NearestPoint, RowIndex


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


#: Spacings in which each axis is by far the coarsest or the finest once.
SPACINGS = [(1, 1, 1), (60, 0.5, 0.6), (0.5, 30, 1), (1, 0.7, 25), (0.02, 1, 1), (1, 1, 0.02)]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("way", [RowIndex, DistanceField])
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
