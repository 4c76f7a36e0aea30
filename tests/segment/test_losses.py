import math

import pytest
import torch

from camzoo.data.labels import UNKNOWN
from camzoo.segment.losses import cross_entropy_and_dice, partial_cross_entropy

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
