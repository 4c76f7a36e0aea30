import pytest
import torch

from camzoo.core.errors import ConfigError
from camzoo.refine.pair_affinity import PairAffinity, affinity_from_edges, affinity_from_features
from camzoo.refine.random_walk import random_walk
from tests.refine.dense import pairs_to_matrix, squared_walk


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def edge_affinity(radius=5, seed=1):
    return affinity_from_edges(rand(2, 6, 9, seed=seed), radius)


@pytest.mark.parametrize(("radius", "beta", "times"), [(2, 10.0, 8), (5, 10.0, 4), (5, 0.5, 0)])
@pytest.mark.parametrize("source", ["edges", "features"])
def test_equals_the_squared_matrix(source, radius, beta, times):
    maps = rand(2, 3, 6, 9)
    affinity = (
        affinity_from_edges(rand(2, 6, 9, seed=1), radius)
        if source == "edges"
        else affinity_from_features(rand(2, 4, 6, 9, seed=1), radius)
    )
    walked = random_walk(maps, affinity, beta=beta, steps=2**times)
    for index in range(2):
        dense = squared_walk(maps[index], pairs_to_matrix(affinity, index), beta, times)
        assert torch.allclose(walked[index], dense, rtol=0, atol=1e-12)


def test_one_step_by_hand():
    """Three pixels in a row, a_01 = 0.5, a_12 = 1, a_02 = 0 beyond the radius; beta 1."""
    affinity = affinity_from_edges(torch.zeros(1, 1, 3), 2)
    values = affinity.values.clone()
    values[0, 0, 0] = torch.tensor([0.5, 1.0, 0.0])
    walked = random_walk(
        torch.tensor([[[[1.0, 2.0, 4.0]]]]), PairAffinity(values, affinity.offsets), beta=1, steps=1
    )
    expected = [(1 + 0.5 * 2) / 1.5, (0.5 + 2 + 4) / 2.5, (2 + 4) / 2]
    assert walked.flatten().tolist() == pytest.approx(expected)


def test_float32_stays_close_over_many_steps():
    maps, affinity = rand(2, 3, 6, 9), edge_affinity()
    exact = random_walk(maps, affinity, beta=10, steps=256)
    rounded = PairAffinity(affinity.values.float(), affinity.offsets)
    single = random_walk(maps.float(), rounded, beta=10, steps=256)
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), exact, atol=3e-6)


def test_constants_stay_and_the_weighted_sum_is_conserved():
    maps, affinity = rand(2, 3, 6, 9), edge_affinity()
    walked = random_walk(maps, affinity, beta=3, steps=37)
    flat = random_walk(torch.ones_like(maps), affinity, beta=3, steps=37)
    assert torch.allclose(flat, torch.ones_like(flat))
    for index in range(2):
        degrees = (pairs_to_matrix(affinity, index) ** 3).sum(0).view(6, 9)
        before, after = ((degrees * m[index]).sum((1, 2)) for m in (maps, walked))
        assert torch.allclose(before, after)
        assert not torch.allclose(maps[index].sum((1, 2)), walked[index].sum((1, 2)))


def test_spreads_within_a_ring_of_edges_and_not_across_it():
    ring = torch.zeros(1, 21, 17)
    ring[0, 4:17, 3:14] = 1
    ring[0, 5:16, 4:13] = 0
    inside = torch.zeros(21, 17, dtype=torch.bool)
    inside[5:16, 4:13] = True
    seed = torch.zeros(1, 1, 21, 17)
    seed[0, 0, 6, 5] = 1
    walked = random_walk(seed, affinity_from_edges(ring, 5), beta=10, steps=256)[0, 0]
    assert (walked[~inside] == 0).all()
    assert walked[inside].min() > 0.5 * walked[inside].max() > 0


def test_does_not_touch_its_input_and_needs_no_gradient():
    maps, affinity = rand(2, 3, 6, 9).requires_grad_(), edge_affinity()
    before = maps.detach().clone()
    assert not random_walk(maps, affinity, beta=10, steps=3).requires_grad
    assert torch.equal(maps, before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta": 0.0}, "beta of the random walk must be positive, got 0.0"),
        ({"steps": 0}, "one step or more, got 0"),
        ({"maps": torch.zeros(2, 1, 6, 9).half()}, "float32 or float64, got torch.float16"),
        ({"maps": torch.zeros(2, 1, 9, 6)}, r"maps have \[2, 9, 6\], affinities \[2, 6, 9\]"),
    ],
)
def test_what_is_out_of_range_is_refused(changes, message):
    arguments = {"maps": rand(2, 1, 6, 9), "beta": 10.0, "steps": 4} | changes
    with pytest.raises(ConfigError, match=message):
        random_walk(affinity=edge_affinity(), **arguments)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_device_gives_the_same_walk():
    edges, maps = rand(2, 6, 9, seed=1), rand(2, 3, 6, 9)
    here = random_walk(maps, affinity_from_edges(edges, 5), beta=10, steps=16)
    there = random_walk(maps.cuda(), affinity_from_edges(edges.cuda(), 5), beta=10, steps=16)
    assert there.is_cuda
    assert torch.allclose(here, there.cpu(), atol=1e-12)
