import pytest
import torch

from camzoo.refine.neighbours import half_plane
from camzoo.refine.pair_affinity import affinity_from_edges, affinity_from_features
from tests.refine.dense import edge_affinity, feature_affinity, pairs_to_matrix


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("radius", [2, 3, 5])
def test_edges_give_one_minus_the_largest_on_the_line(radius):
    edges = rand(2, 5, 7)
    affinity = affinity_from_edges(edges, radius)
    assert affinity.values.shape == (2, len(half_plane(radius)), 5, 7)
    for index in range(2):
        expected = edge_affinity(edges[index], radius)
        assert torch.equal(pairs_to_matrix(affinity, index), expected)


def test_a_wall_by_hand():
    edges = torch.zeros(1, 1, 5)
    edges[0, 0, 2] = 0.75
    affinity = affinity_from_edges(edges, 4)
    planes = dict(zip(affinity.offsets, affinity.values[0, :, 0].tolist(), strict=True))
    assert planes[0, 1] == [1, 0.25, 0.25, 1, 0]
    assert planes[0, 2] == [0.25, 0.25, 0.25, 0, 0]
    assert planes[0, 3] == [0.25, 0.25, 0, 0, 0]
    assert planes[1, 0] == [0, 0, 0, 0, 0]  # there is no second row


def test_the_gradient_goes_to_the_strongest_pixel_of_each_line():
    edges = rand(2, 6, 5).requires_grad_()
    weights = rand(2, len(half_plane(3)), 6, 5, seed=1)
    affinity = affinity_from_edges(edges, 3)
    (affinity.values * weights).sum().backward()
    step = 1e-7
    for place in [(0, 0, 0), (1, 5, 4), (0, 3, 2), (1, 2, 0)]:
        moved = edges.detach().clone()
        moved[place] += step
        change = affinity_from_edges(moved, 3).values - affinity.values.detach()
        assert float((change * weights).sum() / step) == pytest.approx(
            float(edges.grad[place]), abs=1e-6
        )


def test_features_give_the_exponential_of_the_mean_distance():
    features = 3 * rand(2, 4, 5, 3)
    affinity = affinity_from_features(features, 4)
    for index in range(2):
        expected = feature_affinity(features[index], 4)
        assert torch.allclose(pairs_to_matrix(affinity, index), expected, atol=1e-12)
    by_hand = affinity_from_features(torch.tensor([[[[0.0, 1.0]], [[0.0, -2.0]]]]), 2)
    assert float(by_hand.values[0, 0, 0, 0]) == pytest.approx(0.2231302)  # exp(-3 / 2)


@pytest.mark.parametrize("make", [affinity_from_edges, affinity_from_features])
def test_pairs_have_an_affinity_where_both_pixels_lie_on_the_grid(make):
    planes = rand(2, 4, 6) if make is affinity_from_edges else rand(2, 3, 4, 6)
    affinity = make(0.9 * planes, 5)
    on_grid = torch.tensor(
        [
            [[y + dy < 4 and 0 <= x + dx < 6 for x in range(6)] for y in range(4)]
            for dy, dx in affinity.offsets
        ]
    )
    assert torch.equal(affinity.values > 0, on_grid.expand(2, -1, -1, -1))
    assert (affinity.values >= 0).all()
