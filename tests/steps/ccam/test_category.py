import math

import pytest
import torch

from camzoo.steps.ccam.category import CategoryAttention, blend


def inputs(classes, grid=8, batch=3):
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randint(0, classes + 1, (batch, grid, grid), generator=generator)
    return coarse, torch.rand(batch, classes, grid, grid, generator=generator)


def test_one_class_gets_all_attention_and_teaches_nothing():
    """The identity of the fact that softmax over one entry is 1."""
    attention = CategoryAttention(8, 4, seed=0)
    coarse, context = inputs(1)
    shares = attention(coarse, context)
    assert torch.equal(shares, torch.ones(3, 1))
    blend(shares, context).square().sum().backward()
    for parameter in attention.parameters():
        assert torch.equal(parameter.grad, torch.zeros_like(parameter))


def test_attention_over_four_classes_sums_to_one_and_learns():
    attention = CategoryAttention(8, 4, seed=0)
    coarse, context = inputs(4)
    shares = attention(coarse, context)
    torch.testing.assert_close(shares.sum(1), torch.ones(3))
    blend(shares, context).square().sum().backward()
    assert attention.phi.weight.grad.abs().sum() > 0
    assert attention.theta.weight.grad.abs().sum() > 0


def test_attention_by_hand():
    """Phi and Theta that read off the first place, one dimension: softmax of the products."""
    attention = CategoryAttention(2, 1, seed=0)
    for layer in (attention.phi, attention.theta):
        layer.weight.data.zero_()
        layer.weight.data[0, 0] = 1
        layer.bias.data.zero_()
    coarse = torch.tensor([[[2, 0], [0, 0]]])
    context = torch.tensor([[[[0.5, 0], [0, 0]], [[0.0, 1], [1, 1]]]])
    shares = attention(coarse, context).detach()
    high = math.e  # exp(2 * 0.5); the other class has exp(0)
    assert shares[0].tolist() == pytest.approx([high / (high + 1), 1 / (high + 1)])
    blended = blend(shares, context)
    assert blended[0, 0, 0] == pytest.approx(0.5 * high / (high + 1))
    assert blended[0, 1, 1] == pytest.approx(1 / (high + 1))


def test_the_scores_are_divided_by_the_root_of_the_dimensions():
    attention = CategoryAttention(2, 4, seed=0)
    attention.phi.weight.data.fill_(1)
    attention.theta.weight.data.fill_(1)
    coarse = torch.tensor([[[1, 0], [0, 0]]])
    context = torch.tensor([[[[1.0, 0], [0, 0]], [[0.0, 0], [0, 0]]]])
    # Query (1, 1, 1, 1), keys (1, 1, 1, 1) and 0: 4 / sqrt(4) = 2 against 0.
    assert attention(coarse, context)[0, 0].item() == pytest.approx(1 / (1 + math.e**-2))


def test_equal_seeds_start_alike():
    first, second = CategoryAttention(4, 2, seed=5), CategoryAttention(4, 2, seed=5)
    assert torch.equal(first.phi.weight, second.phi.weight)
    assert not torch.equal(first.phi.weight, CategoryAttention(4, 2, seed=6).phi.weight)
