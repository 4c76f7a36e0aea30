import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from camzoo_baselines.seeds import (
    Beside,
    Seeding,
    SeedingLoss,
    balanced_seed_loss,
    constrain_loss,
    cues_of_maps,
    floored,
    seed_loss,
    train_seeded,
)
from torch import nn

from camzoo.core.errors import ConfigError
from camzoo.data.labels import UNKNOWN
from camzoo.network.precision import autocast
from camzoo.refine.crf import CrfSettings
from tests.refine.test_crf import brute_force
from tests.segment.toy import toy_context

CRF = CrfSettings(
    iterations=2, gaussian_sxy=1, bilateral_sxy=1.5, bilateral_intensity=30, window=100
)


def distributions(*shape, seed=0):
    """Random probabilities [B, K, ...]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).softmax(dim=1)


def test_cues_by_hand():
    """Maps of two organs in five slices; the thresholds themselves are neither above nor below."""
    maps = np.zeros((5, 2, 2, 2), np.float16)
    maps[0, 0] = [[1.0, 0.5], [0.3, 0.1]]
    maps[0, 1] = [[0.2, 0.75], [0.25, 0.0]]
    maps[1, 1] = [[0.5, 0.5], [0.5, 1.0]]
    maps[2, 0] = [[0.0, 0.0], [0.0, 1.0]]  # the other organ is shown, and its map is empty
    tags = np.array([[1, 1], [0, 1], [1, 1], [0, 0], [1, 0]], np.uint8)
    high, low = (float(np.float16(x)) for x in (0.5, 0.3))
    cues = cues_of_maps(maps, tags, 2, high=high, low=low)
    assert cues.dtype == np.uint8
    u = UNKNOWN
    assert cues.reshape(5, 4).tolist() == [
        [1, 2, u, 0], [u, u, u, 2], [u, u, u, 1], [0, 0, 0, 0], [u, u, u, u],
    ]  # fmt: skip


def test_cues_lie_on_the_grid_of_the_network():
    maps = np.zeros((1, 1, 4, 4), np.float16)
    maps[0, 0, :2] = 1.0
    cues = cues_of_maps(maps, np.ones((1, 1), np.uint8), 16, high=0.9, low=0.1)
    assert cues.shape == (1, 16, 16)
    assert (cues[0, :6] == 1).all()
    assert (cues[0, 6:10] == UNKNOWN).all()
    assert (cues[0, 10:] == 0).all()


def test_probabilities_are_kept_off_0():
    values = floored(torch.tensor([[[1.0, 0.25]], [[0.0, 0.75]]]).movedim(1, 0))
    expected = [[1.0001 / 1.0002, 0.2501 / 1.0002], [0.0001 / 1.0002, 0.7501 / 1.0002]]
    np.testing.assert_allclose(values[0], expected, rtol=1e-6)


def test_the_seed_loss_by_hand():
    """Costs ln 2 and ln 4 in one slice and ln 10 in another; a third has no cue that counts."""
    probabilities = torch.full((3, 3, 2, 3), 1 / 3)
    probabilities[0, 1, 0, 2], probabilities[0, 0, 1, 1] = 1 / 2, 1 / 4
    probabilities[1, 2, 1, 0] = 1 / 10
    cues = torch.full((3, 2, 3), UNKNOWN)
    cues[0, 0, 2], cues[0, 1, 1], cues[1, 1, 0] = 1, 0, 2
    value = seed_loss(probabilities, cues, cues != UNKNOWN)
    assert value.item() == pytest.approx((1.5 * math.log(2) + math.log(10)) / 2)
    organs = seed_loss(probabilities, cues, (cues != UNKNOWN) & (cues > 0))
    assert organs.item() == pytest.approx((math.log(2) + math.log(10)) / 2)
    assert seed_loss(probabilities, cues, cues < 0).item() == 0


def test_few_seeds_of_organs_count_as_much_as_many_of_the_background():
    """Eight pixels of background cost ln 2 each, the only one of an organ ln 4."""
    probabilities = torch.full((1, 2, 3, 3), 1 / 2)
    probabilities[0, :, 1, 1] = torch.tensor([3 / 4, 1 / 4])
    cues = torch.zeros(1, 3, 3, dtype=torch.long)
    cues[0, 1, 1] = 1
    value = balanced_seed_loss(probabilities, cues)
    assert value.item() == pytest.approx(math.log(2) + math.log(4))
    cues[0, 1, 1] = UNKNOWN
    assert balanced_seed_loss(probabilities, cues).item() == pytest.approx(math.log(2))


def test_the_constraint_is_the_divergence_from_the_crf():
    p, q = distributions(2, 3, 4, 5), distributions(2, 3, 4, 5, seed=1)
    expected = F.kl_div(p.log(), q, reduction="none").sum(dim=1).mean()
    torch.testing.assert_close(constrain_loss(p, q), expected)
    p, q = torch.tensor([[0.99, 0.01]]), torch.tensor([[0.01, 0.99]])
    value = constrain_loss(p[..., None, None], q[..., None, None])  # ratios 1/99 and 99
    assert value.item() == pytest.approx(0.01 * math.log(0.05) + 0.99 * math.log(20))


@dataclass(frozen=True)
class Constraint(SeedingLoss):
    """The constraint alone, and a record of what a method is given."""

    given: list

    def compare(self, *given):
        self.given.append(given)
        return torch.zeros(())


def test_the_constraint_is_taken_on_the_coarse_grid_and_sees_the_slice():
    """Against the sum over all pairs of pixels of the halved slice."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator).requires_grad_()
    grey = torch.rand(2, 1, 8, 8, generator=generator)
    given = []
    loss = Constraint(4, CRF, given)
    cues, tags = torch.zeros(2, 8, 8, dtype=torch.long), torch.ones(2, 2)
    value = loss(torch.cat([logits, grey], dim=1), cues, tags)

    fine = floored(logits.softmax(dim=1))
    halves = fine.unflatten(3, (4, 2)).unflatten(2, (4, 2)).mean(dim=(3, 5))
    small = grey[:, 0].unflatten(2, (4, 2)).unflatten(1, (4, 2)).mean(dim=(2, 4))
    smooth = np.stack(
        [
            brute_force(-each.detach().log().double().numpy(), 255 * image.double().numpy(), CRF)
            for each, image in zip(halves, small, strict=True)
        ]
    )
    smooth = floored(torch.from_numpy(smooth).float())
    torch.testing.assert_close(value, constrain_loss(halves, smooth))
    ((*planes, seen_cues, seen_tags),) = given
    for seen, expected in zip(planes, (fine, halves, smooth), strict=True):
        torch.testing.assert_close(seen, expected)
    assert seen_cues is cues
    assert seen_tags is tags

    (gradient,) = torch.autograd.grad(value, logits)
    (expected,) = torch.autograd.grad(constrain_loss(halves, smooth), logits)
    torch.testing.assert_close(gradient, expected)  # the CRF is taken as it is


def test_views_stand_behind_the_logits_as_they_were():
    """Rounding a grey level to bfloat16 would move edges."""
    network = Beside(nn.Conv2d(1, 3, 1))
    views = torch.rand(2, 1, 4, 5)
    with autocast(views.device, "bf16"):
        output = network(views)
    assert output.dtype == torch.float32
    assert torch.equal(output[:, -1:], views)
    torch.testing.assert_close(output[:, :-1], network.network(views), atol=0.02, rtol=0.02)


def test_the_common_network_is_trained_and_predicts_without_its_views(tmp_path):
    context = toy_context(tmp_path)
    cues = np.zeros((16, 32, 32), np.uint8)
    network = train_seeded(context, cues, Constraint(16, CRF, []), name="seeded")
    assert (tmp_path / "seeded.safetensors").exists()
    assert len(network.losses) == context.config.segmentation.epochs
    probabilities = network.predict(context.val.images(slice(0, 3)))
    assert probabilities.shape == (3, 3, 32, 32)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(3, 32, 32))


@pytest.mark.parametrize("values", [(0.5, 0.4, 8), (-0.1, 0.4, 8), (0.5, 1.1, 8), (0.3, 0.7, 0)])
def test_what_they_cannot_use_is_refused(values):
    low, high, grid = values
    with pytest.raises(ConfigError, match="mine: expected 0 <= low <= high <= 1 and grid >= 1"):
        Seeding("mine", high, low, grid, CRF)
