import math

import pytest
import torch

from camzoo.core.errors import ConfigError
from camzoo.data.labels import UNKNOWN
from camzoo.refine.affinity_loss import affinity_loss, mean_over
from camzoo.refine.neighbours import half_plane
from camzoo.refine.pair_affinity import PairAffinity, affinity_from_edges


def test_a_row_by_hand():
    """Pairs 0-0, 0-1, 1-1 and two with an unknown pixel, of affinities 0.5, 0.25, 0.8."""
    labels = torch.tensor([[[0, 0, 1, 1, UNKNOWN]]])
    values = torch.zeros(1, 4, 1, 5)
    values[0, 0, 0] = torch.tensor([0.5, 0.25, 0.8, 0.1, 0.0])
    loss = affinity_loss(PairAffinity(values, half_plane(2)), labels)
    expected = -(math.log(0.5) + math.log(0.8)) / 4 - math.log(0.75) / 2
    assert float(loss) == pytest.approx(expected, abs=1e-4)


def all_pairs(affinity, labels, index):
    """(bg, fg, neg) losses of one image, pair by pair."""
    height, width = labels.shape[1:]
    found = {"bg": [], "fg": [], "neg": []}
    for plane, (dy, dx) in zip(affinity.values[index], affinity.offsets, strict=True):
        for y in range(height - dy):
            for x in range(max(0, -dx), width - max(0, dx)):
                a, b = int(labels[index, y, x]), int(labels[index, y + dy, x + dx])
                if UNKNOWN in (a, b):
                    continue
                kind = "neg" if a != b else ("fg" if a else "bg")
                value = float(plane[y, x])
                found[kind].append(-math.log((1 - value if a != b else value) + 1e-5))
    return found


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_equals_the_sum_over_pairs(dtype):
    generator = torch.Generator().manual_seed(0)
    edges = torch.rand(2, 5, 7, generator=generator)
    labels = torch.tensor([0, 0, 1, 2, UNKNOWN])[
        torch.randint(0, 5, (2, 5, 7), generator=generator)
    ]
    affinity = affinity_from_edges(edges, 3)
    parts = [all_pairs(affinity, labels, index) for index in range(2)]
    bg, fg, neg = (
        sum(sum(p[kind]) for p in parts) / sum(len(p[kind]) for p in parts)
        for kind in ("bg", "fg", "neg")
    )
    loss = affinity_loss(affinity, labels.to(dtype))
    assert float(loss) == pytest.approx((bg + fg) / 4 + neg / 2, rel=1e-5)


def test_nothing_known_gives_no_loss_and_no_gradient():
    edges = torch.rand(1, 4, 6, requires_grad=True)
    loss = affinity_loss(affinity_from_edges(edges, 3), torch.full((1, 4, 6), UNKNOWN))
    loss.backward()
    assert loss.item() == 0
    assert (edges.grad == 0).all()


def test_sums_stay_finite_at_certain_affinities():
    edges = torch.tensor([[[0.0, 1.0, 0.0]]], requires_grad=True)
    for labels in ([0, 0, 0], [0, 1, 0]):
        loss = affinity_loss(affinity_from_edges(edges, 3), torch.tensor([[labels]]))
        loss.backward()
        assert math.isfinite(loss.item())
    assert torch.isfinite(edges.grad).all()


def test_grids_must_agree():
    with pytest.raises(ConfigError, match=r"labels \[1, 6, 4\] and affinities of \[1, 4, 6\]"):
        affinity_loss(affinity_from_edges(torch.rand(1, 4, 6), 3), torch.zeros(1, 6, 4))


def test_a_mean_over_chosen_losses_by_hand():
    losses = torch.tensor([[1.0, 2.0, 6.0]])
    assert mean_over(losses, torch.tensor([[True, False, True]])) == 3.5
    assert mean_over(losses, torch.zeros(1, 3, dtype=torch.bool)) == 0
