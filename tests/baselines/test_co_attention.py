import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from camzoo_baselines.co_attention import CoAttention, carried


@pytest.fixture(scope="module")
def pairs():
    """Features of two pairs of slices, 2 x 3 and 1 x 4 places, and a module that has learnt."""
    torch.manual_seed(0)
    attention = CoAttention(5)
    torch.nn.init.normal_(attention.weight)
    return torch.randn(2, 5, 6), torch.randn(2, 5, 4), attention


def test_the_affinity_against_loops(pairs):
    first, second, attention = pairs
    expected = np.zeros((2, 6, 4))
    one, other, weight = (each.detach().numpy() for each in (first, second, attention.weight))
    for b, n, m in np.ndindex(expected.shape):
        for k in range(5):
            expected[b, n, m] += one[b, k, n] * (weight[k] * other[b, :, m]).sum()
    np.testing.assert_allclose(attention(first, second).detach().numpy(), expected, atol=1e-5)


def test_both_ways_against_the_attention_of_torch(pairs):
    """Queries are places of the slice that looks, keys and values those of the one looked at."""
    first, second, attention = pairs
    affinity = attention(first, second)
    to_first = F.scaled_dot_product_attention(
        first.mT, (attention.weight @ second).mT, second.mT, scale=1.0
    )
    torch.testing.assert_close(carried(affinity, second), to_first.mT)
    to_second = F.scaled_dot_product_attention(
        second.mT, (attention.weight.T @ first).mT, first.mT, scale=1.0
    )
    torch.testing.assert_close(carried(affinity.mT, first), to_second.mT)


def test_what_is_carried_by_hand():
    """Three places look at two with weights (3, 1) / 4, (1, 1) / 2 and (1, 7) / 8.

    The two look back with (3, 1, 1) / 5 and (1, 1, 7) / 9.
    """
    affinity = torch.tensor([[[3.0, 1.0], [1.0, 1.0], [1.0, 7.0]]]).log()
    planes = torch.tensor([[8.0, 4.0], [0.0, 16.0]])
    expected = torch.tensor([[[7.0, 6.0, 4.5], [4.0, 8.0, 14.0]]])
    torch.testing.assert_close(carried(affinity, planes), expected)
    torch.testing.assert_close(carried(affinity, planes[None]), expected)
    back = carried(affinity.mT, torch.tensor([[[5.0, 10.0, 15.0]]]))
    torch.testing.assert_close(back, torch.tensor([[[8.0, 40 / 3]]]))


def test_it_starts_as_the_scaled_dot_product():
    attention = CoAttention(9)
    first, second = torch.randn(1, 9, 4), torch.randn(1, 9, 3)
    expected = F.scaled_dot_product_attention(first.mT, second.mT, second.mT).mT
    torch.testing.assert_close(carried(attention(first, second), second), expected)
    alike = 100 * torch.eye(9)[None]
    torch.testing.assert_close(carried(attention(alike, alike), alike), alike)
    assert attention.weight.diagonal().tolist() == pytest.approx([1 / math.sqrt(9)] * 9)
