import math

import pytest
import torch

from camzoo.data.labels import UNKNOWN
from camzoo.segment.losses import (
    balanced_cross_entropy,
    cross_entropy_and_dice,
    partial_cross_entropy,
)

TAGS = torch.ones(2, 1)


def test_worked_out_by_hand():
    """Two slices of two pixels, p(organ) = 3/4 in three of them and 1/4 in the fourth.

    Cross-entropy: (3 ln 4/3 + ln 4) / 4 with labels 1, 1, 1, 1. Dice of the organ over the batch:
    1 - 2 (3 * 3/4 + 1/4) / (5/2 + 4).
    """
    odds = math.log(3.0)
    logits = torch.zeros(2, 2, 1, 2)
    logits[:, 1] = torch.tensor([[[odds, odds]], [[odds, -odds]]])
    labels = torch.ones(2, 1, 2, dtype=torch.int64)
    entropy = (3 * math.log(4 / 3) + math.log(4)) / 4
    assert partial_cross_entropy(logits, labels).item() == pytest.approx(entropy)
    dice = 1 - 2 * 2.5 / 6.5
    total = cross_entropy_and_dice(logits, labels, TAGS).item()
    assert total == pytest.approx(entropy + dice, abs=1e-5)


def test_unknown_pixels_have_no_gradient_and_change_nothing():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 6, requires_grad=True)
    labels = torch.randint(0, 3, (2, 4, 6))
    labels[:, 1:3, 2:5] = UNKNOWN
    value = cross_entropy_and_dice(logits, labels, TAGS)
    (gradient,) = torch.autograd.grad(value, logits)
    unknown = (labels == UNKNOWN)[:, None].expand_as(gradient)
    assert (gradient[unknown] == 0).all()
    assert (gradient[~unknown] != 0).all()
    other = torch.where(unknown, 100.0, logits)
    assert cross_entropy_and_dice(other, labels, TAGS).item() == pytest.approx(value.item())


def test_a_batch_without_known_pixels_is_no_nan():
    logits = torch.randn(1, 2, 3, 3, requires_grad=True)
    labels = torch.full((1, 3, 3), UNKNOWN)
    assert partial_cross_entropy(logits, labels).item() == 0
    cross_entropy_and_dice(logits, labels, TAGS).backward()
    assert (logits.grad == 0).all()


def test_a_batch_of_negatives_pushes_organs_down():
    logits = torch.zeros(2, 2, 3, 3, requires_grad=True)
    cross_entropy_and_dice(logits, torch.zeros(2, 3, 3, dtype=torch.int64), TAGS).backward()
    assert (logits.grad[:, 1] > 0).all()


def test_classes_count_alike_however_few_pixels_they_have():
    """p(organ) = 3/4 everywhere: the organ's one pixel costs ln 4/3, three of background ln 4."""
    logits = torch.zeros(1, 3, 1, 5)
    logits[:, 1] = math.log(3.0)
    logits[:, 2] = -1e9  # a class that is nowhere
    labels = torch.tensor([[[1, 0, 0, 0, UNKNOWN]]])
    balanced = (math.log(4 / 3) + math.log(4)) / 2
    assert balanced_cross_entropy(logits, labels).item() == pytest.approx(balanced)
    weights = torch.tensor([[[1.0, 0.5, 0.5, 0.5, 1.0]]])
    assert balanced_cross_entropy(logits, labels, weights).item() == pytest.approx(balanced)
    logits[0, 1, 0, 1] = 0  # one background pixel costs ln 2 instead
    weights = torch.tensor([[[1.0, 1.0, 0.5, 0.0, 1.0]]])
    background = (math.log(2) + 0.5 * math.log(4)) / 1.5
    expected = (math.log(4 / 3) + background) / 2
    assert balanced_cross_entropy(logits, labels, weights).item() == pytest.approx(expected)


def test_balance_without_known_pixels_is_no_nan():
    logits = torch.randn(1, 2, 3, 3, requires_grad=True)
    value = balanced_cross_entropy(logits, torch.full((1, 3, 3), UNKNOWN))
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()
