"""A batch in parts: the same gradients, a memory that is kept within bounds, and a record of it."""

import pytest
import torch
from torch import nn

from camzoo.config import BackboneConfig, SegmentationConfig
from camzoo.learning.loop import minimise, small_memory
from camzoo.learning.micro_batches import in_micro_batches
from camzoo.learning.recipe import adam
from camzoo.network.backbone import build_classifier
from camzoo.segment.losses import cross_entropy_and_dice
from camzoo.segment.training import UNetLoss
from camzoo.segment.unet import build_unet
from tests.segment.toy import toy_masks
from tests.toy import toy_slices

CPU = torch.device("cpu")
WIDTHS = (8, 8, 8, 16, 16)
RECIPE = SegmentationConfig(side=32, widths=WIDTHS, epochs=2, batch=6, lr=0.003, precision="fp32")


def gradients(network, loss):
    network.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def require_close(found, expected, tolerance=1e-6):
    assert found.keys() == expected.keys()
    assert any(value.abs().max() > 1e-3 for value in expected.values())
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [1, 3, 4, 7])
def test_gradients_of_a_loss_that_pools_the_batch_are_those_of_the_whole(size):
    """The Dice of all slices and a mean over known pixels: no mean of losses of parts."""
    network = build_unet(3, WIDTHS, seed=0).double()
    slices = toy_slices(7)
    images = slices.grey(slice(None), CPU)[:, None, ::2, ::2].double()
    labels = torch.from_numpy(toy_masks(slices)[:, ::2, ::2]).long()
    labels[:2, :16] = 255

    def loss():
        return cross_entropy_and_dice(network(images), labels, torch.empty(0))

    expected = gradients(network, loss())
    with in_micro_batches(network, size):
        found = gradients(network, loss())
    require_close(found, expected)
    assert "forward" not in vars(network)


@pytest.mark.parametrize("entry", ["forward", "forward_features"])
def test_networks_of_timm_are_divided_by_either_entry(entry):
    """Batch normalisation is frozen, as with weights; the head may be asked for alone."""
    network = build_classifier(
        BackboneConfig(name="resnet10t", weights="none", frozen=0), 2, seed=0
    )
    network.frozen_norm = True
    network.double().train()
    images = torch.rand(5, 3, 32, 32, dtype=torch.float64)
    seen = []
    network.model.conv1.register_forward_hook(lambda _m, given, _out: seen.append(len(given[0])))

    def loss():
        if entry == "forward":
            return network(images).square().sum()
        return network.model.forward_head(network.model.forward_features(images)).square().sum()

    expected = gradients(network, loss())
    with in_micro_batches(network, 2):
        found = gradients(network, loss())
    require_close(found, expected)
    assert seen == [5, 2, 2, 1, *seen[4:]]
    assert sorted(seen[4:]) == [1, 2, 2]  # once more on the way back, and never more than two


class Odd(nn.Module):
    """Takes several arguments and returns several things; some of its units drop out."""

    def __init__(self, drop=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(3.0))
        self.drop = nn.Dropout(drop)

    def forward(self, first, second, factor):
        out = self.weight * self.drop(first) + factor * second
        return {"sum": out, "both": (first * 2, [second])}


def test_arguments_and_outputs_of_any_form_are_divided_and_joined():
    network, first, second = Odd(), torch.rand(5, 2), torch.rand(5, 2)
    expected = network(first, second, 0.5)
    with in_micro_batches(network, 2):
        for found in (network(first, second, 0.5), torch.no_grad()(network)(first, second, 0.5)):
            assert torch.equal(found["sum"], expected["sum"])
            assert torch.equal(found["both"][0], expected["both"][0])
            assert torch.equal(found["both"][1][0], second)
            assert type(found["both"]) is tuple


def test_what_drops_out_is_the_same_on_the_way_back():
    network, first = Odd(drop=0.5), torch.rand(64, 2)
    with in_micro_batches(network, 8):
        out = network(first, torch.zeros(64, 2), 0.0)["sum"]
    out.sum().backward()
    assert 0 < (out == 0).float().mean() < 1
    assert network.weight.grad.item() == pytest.approx(out.sum().item() / 3, rel=1e-5)


def test_statistics_of_batch_normalisation_are_those_of_the_parts_once():
    def network():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4, momentum=None)
        )

    images, one, other = torch.rand(6, 1, 8, 8), network(), network()
    for part in images.split(4):
        one(part)
    with in_micro_batches(other, 4):
        other(images).square().sum().backward()
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    assert [m.momentum for m in other[1:]] == [0.1, None]


class Small:
    """A device whose memory takes so many slices at once from a step on, in any convolution."""

    def __init__(self, network, most, since=0):
        self.most, self.since, self.steps, self.notes = most, since, 0, []
        first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
        first.register_forward_pre_hook(self.look)

    def look(self, _module, given):
        if self.steps >= self.since and len(given[0]) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory (simulated)")

    def tick(self, _done, _total):
        self.steps += 1


def train(path, most=99, since=0, network=None, killed_at=None):
    """16 slices in steps of 6, 6 and 4, twice."""
    network = network or build_unet(3, WIDTHS, seed=0)
    slices = toy_slices(16)
    objective = UNetLoss.of(
        network, toy_masks(slices), RECIPE, cross_entropy_and_dice, sided=slices.sided
    )
    device = Small(network, most, since)

    def tick(done, total):
        device.tick(done, total)
        if device.steps == killed_at:
            raise KeyboardInterrupt

    training = minimise(
        objective, network, slices, adam(RECIPE), seed=0, device=CPU, checkpoint=path,
        tick=tick, note=device.notes.append,
    )  # fmt: skip
    return network, training, device.notes


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole") / "unet.safetensors")


@pytest.mark.parametrize(
    ("most", "since", "sizes"), [(4, 0, (3, 3)), (2, 0, (1, 1)), (3, 4, (None, 3))]
)
def test_a_training_that_runs_out_of_memory_goes_on_with_fewer_at_once(
    whole, tmp_path, most, since, sizes
):
    """6 slices do not fit, 3 do or 1 does; where memory shrinks later, the epoch begins anew."""
    _, training, notes = train(tmp_path / "unet.safetensors", most, since)
    assert [epoch.micro_batch for epoch in training.epochs] == list(sizes)
    assert len(notes) == {3: 1, 1: 2}[sizes[-1]]
    assert f"from epoch {1 if sizes[0] else 2} on {sizes[-1]} slices go through" in notes[-1]
    assert notes[-1].endswith("which changes no gradient")
    assert small_memory(tmp_path) == {"micro_batches": {"unet": sizes[-1]}}
    # Weights without a gradient but for rounding are led anywhere by Adam; the loss tells.
    for one, other in zip(training.epochs, whole[1].epochs, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)


def test_memory_that_is_large_enough_leaves_no_word(whole, tmp_path):
    network, training, notes = train(tmp_path / "unet.safetensors")
    assert notes == []
    assert {epoch.micro_batch for epoch in training.epochs} == {None}
    assert small_memory(tmp_path) == {}
    for name, value in whole[0].state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def test_a_training_with_fewer_at_once_that_is_killed_ends_with_the_same_weights(tmp_path):
    network, training, _ = train(tmp_path / "whole", most=4)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", most=4, killed_at=5)
    resumed, again, notes = train(tmp_path / "killed", most=4)
    assert notes == []  # the checkpoint knows
    assert again.epochs == training.epochs
    for name, value in network.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value)


def test_a_memory_without_room_for_one_slice_says_so(tmp_path):
    with pytest.raises(torch.OutOfMemoryError):
        train(tmp_path / "c", most=0)


def test_batch_normalisation_that_learns_is_told_of(tmp_path):
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3))
    _, _, notes = train(tmp_path / "c", most=4, network=network)
    assert notes[-1].endswith("changes nothing but the statistics of batch normalisation")
