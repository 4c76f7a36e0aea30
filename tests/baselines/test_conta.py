import numpy as np
import pytest
import torch
from camzoo_baselines.conta import Conta, attention, found_masks, mean_masks, numbered_from_one

from camzoo.core.errors import ConfigError, DataError
from camzoo.learning.augmentation import Augmentation
from camzoo.registries import baselines
from camzoo.steps.ccam.category import CategoryAttention
from camzoo.steps.ccam.causal import CausalCam, CausalClassifier, CausalLoss
from tests.baselines.tiny import RECIPE, tiny_classifier, tiny_context
from tests.segment.toy import toy_masks
from tests.toy import toy_slices

GRID = 16


def one_organ():
    """Slices of one organ, their masks on the grid, the confounders and a fresh network."""
    slices = toy_slices(16, organs=("bright",))
    masks = toy_masks(slices)[:, ::4, ::4]
    masks[1, :, 12:] = 1  # no two positive slices alike
    confounders = mean_masks(masks, slices)
    network = CausalClassifier(tiny_classifier(1), CategoryAttention(GRID, 2, seed=0), seed=0)
    return slices, masks, confounders, network


def test_confounders_are_mean_masks_with_the_background():
    """4 slices, 3 with an organ: class 1 is in 2 of 3, class 2 in 1 of 3 where it is."""
    slices = toy_slices(4)  # tags 00, 10, 01, 11
    masks = np.zeros((4, 2, 2), np.uint8)
    masks[1:, 0, 0] = [1, 2, 1]
    masks[0] = 2  # a slice without an organ is not counted
    confounders = mean_masks(masks, slices)
    assert confounders.shape == (3, 2, 2)
    torch.testing.assert_close(confounders[:, 0, 0], torch.tensor([0, 2, 1]) / 3)
    torch.testing.assert_close(confounders.sum(dim=0), torch.ones(2, 2))
    with pytest.raises(DataError, match="average over slices with an organ"):
        mean_masks(masks[:1], slices.at(np.array([0])))


def test_attention_over_organ_and_background_is_not_constant():
    _, masks, confounders, network = one_organ()
    shares = attention(network, masks, confounders)
    assert shares.shape == (16, 2)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(16))
    assert shares[:, 0].max() - shares[:, 0].min() > 0.01
    alone = attention(network, masks, confounders[1:])
    assert torch.equal(alone, torch.ones(16, 1))  # what the background is kept for


def test_the_attention_learns_from_one_organ():
    slices, masks, confounders, network = one_organ()
    rows = np.flatnonzero(slices.tags.any(axis=1))
    own = numbered_from_one(masks[rows])
    assert own.min() == 1
    loss = CausalLoss(network, own, confounders, True, Augmentation(64, (64, 64)), "fp32")
    positives = slices.at(rows)
    value, _ = loss(
        positives.images(slice(None)).float() / 255,
        np.arange(len(rows)),
        positives.tag_tensor(slice(None)),
        torch.Generator().manual_seed(0),
    )
    value.backward()
    assert network.attention.phi.weight.grad.abs().max() > 0
    assert network.attention.theta.weight.grad.abs().max() > 0


def test_masks_are_the_networks_own():
    class Squares:
        """Finds class 2 in the left half of every slice."""

        def predict(self, images):
            probabilities = torch.zeros(len(images), 3, 32, 32)
            probabilities[:, 0] = 0.4
            probabilities[:, 2, :, :16] = 0.6
            return probabilities

    masks = found_masks(Squares(), toy_slices(20), GRID)
    assert masks.shape == (20, GRID, GRID)
    assert (masks[:, :, :8] == 2).all()
    assert not masks[:, :, 8:].any()


class GreyLevels:
    """Finds organ 1 where a slice is bright and organ 2 where it is dark."""

    def predict(self, images):
        grey = images.float()
        bright, dark = (grey > 200).float(), (grey < 50).float()
        return torch.stack([1 - bright - dark, bright, dark], dim=1)


def test_maps_are_made_with_what_the_segmentation_found(tmp_path, monkeypatch):
    """12 of 16 slices show an organ, 8 of them the bright one, 8 the dark one."""
    recipe = RECIPE.model_copy(update={"epochs": 1})
    context, _ = tiny_context(tmp_path, recipe, epochs=1)
    cams, networks = [], []

    class SpiedCam(CausalCam):
        def __init__(self, method, weight, shares, context, *, aligned):
            cams.append((weight, shares, context))
            super().__init__(method, weight, shares, context, aligned=aligned)

    monkeypatch.setattr("camzoo_baselines.conta.CausalCam", SpiedCam)
    monkeypatch.setattr(
        "camzoo_baselines.conta.CausalClassifier",
        lambda *args: networks.append(CausalClassifier(*args)) or networks[-1],
    )
    monkeypatch.setattr("camzoo_baselines.conta.train_unet", lambda *_, **__: GreyLevels())
    Conta(grid=GRID).fit(context)

    expected = torch.zeros(3, GRID, GRID)
    expected[1, 4:8, 2:6] = expected[2, 8:12, 8:12] = 2 / 3
    expected[0] = 1 - expected.sum(dim=0)
    (network,) = networks
    assert len(cams) == 2
    for (weight, shares, confounders), slices in zip(
        cams, (context.train, context.val), strict=True
    ):
        torch.testing.assert_close(confounders, expected)
        assert torch.equal(weight, network.weight)
        own = attention(network, found_masks(GreyLevels(), slices, GRID), expected)
        torch.testing.assert_close(shares, own)
        assert len(shares) == len(slices)
        assert shares.std(dim=0).max() > 1e-4  # slices differ, so rows in another order would, too


@pytest.mark.parametrize("organs", [("bright",), ("bright", "dark")])
def test_rounds_change_the_masks(tmp_path, organs):
    recipe = RECIPE.model_copy(update={"epochs": 2, "lr": 0.2})
    context, judged = tiny_context(tmp_path, recipe, organs=organs, epochs=2)
    baseline = Conta(grid=GRID)
    baseline.fit(context)
    assert len(baseline.masks) == len(judged) == 2
    first, second = baseline.masks
    assert first.shape == second.shape == (16, 32, 32)
    positive = context.train.tags.any(axis=1)
    assert not second[~positive].any()
    changed = (first != second).any(axis=(1, 2))
    assert changed[positive].all()
    assert baseline.pseudo is second
    assert {"unet-1.safetensors", "causal-classifier-1.safetensors"} <= {
        p.name for p in tmp_path.iterdir()
    }
    probabilities = baseline.predict(context.val.images(slice(0, 3)))
    assert probabilities.shape == (3, len(organs) + 1, 32, 32)


def test_what_it_cannot_do_is_refused():
    assert baselines.get("conta") is Conta
    with pytest.raises(ConfigError, match="conta: rounds, grid and rate must be positive"):
        Conta(rounds=0)
