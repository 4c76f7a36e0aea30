import numpy as np
import pytest
import torch
from torch import nn

from camzoo.core.errors import CamzooError
from camzoo.data.labels import UNKNOWN
from camzoo.learning.loop import batches
from camzoo.segment.losses import cross_entropy_and_dice
from camzoo.segment.training import UNetLoss, fit, train_unet
from camzoo.segment.unet import build_unet
from tests.segment.toy import TINY, toy_context, toy_masks
from tests.toy import toy_slices

CPU = torch.device("cpu")


class Killed(BaseException):
    """What a kill is to the code that it hits."""


def weights(network):
    return torch.cat([value.flatten() for value in network.state_dict().values()])


def trained(tmp_path, name="u", *, tick=None, config=TINY, loss=None, labels=None):
    slices = toy_slices(16)
    network = build_unet(3, config.widths, seed=0)
    return fit(
        network, slices, toy_masks(slices) if labels is None else labels, config, seed=0,
        device=CPU, checkpoint=tmp_path / f"{name}.safetensors",
        **({"tick": tick} if tick else {}), **({"loss": loss} if loss else {}),
    )  # fmt: skip


def test_the_loss_falls_and_the_organs_are_found(tmp_path):
    config = TINY.model_copy(update={"epochs": 24, "power": 0.9})
    net = trained(tmp_path, config=config)
    assert net.losses[-1] < 0.5 * net.losses[0]
    slices = toy_slices(16)
    probabilities = net.predict(slices.images(slice(None)))
    assert probabilities.shape == (16, 3, 32, 32)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(16, 32, 32))
    label = probabilities.argmax(dim=1).numpy()
    reference = toy_masks(slices)[:, ::2, ::2]
    for organ in (1, 2):
        hits = ((label == organ) & (reference == organ)).sum()
        assert 2 * hits / ((label == organ).sum() + (reference == organ).sum()) > 0.8
    assert net.images_per_second > 0


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path):
    whole = trained(tmp_path, "whole")

    def kill(done, _total):
        if done > 5:
            raise Killed

    with pytest.raises(Killed):
        trained(tmp_path, "killed", tick=kill)
    assert (tmp_path / "killed.safetensors").exists()
    resumed = trained(tmp_path, "killed")
    assert torch.equal(weights(resumed.network), weights(whole.network))
    assert resumed.losses == whole.losses


def test_what_a_network_draws_is_seeded_and_goes_on_where_it_was(tmp_path):
    slices = toy_slices(16)

    def run(name, tick=lambda *_: None):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Dropout(0.5), nn.Conv2d(4, 3, 1))
        torch.manual_seed(len(name))  # whatever has been drawn before
        return fit(
            network, slices, toy_masks(slices), TINY, seed=0, device=CPU,
            checkpoint=tmp_path / name, tick=tick,
        )  # fmt: skip

    def kill(done, _total):
        if done > 5:
            raise Killed

    whole = run("whole")
    with pytest.raises(Killed):
        run("killed", kill)
    assert torch.equal(weights(run("killed").network), weights(whole.network))


def test_rates_fall_by_the_poly_schedule(tmp_path, monkeypatch):
    """16 slices in batches of 4, 2 epochs: steps begin after 0, 4, ... 28 of 32 slices."""
    rates = _spy(monkeypatch, lambda optimiser: optimiser.param_groups[0]["lr"])
    trained(tmp_path, config=TINY.model_copy(update={"lr": 0.01, "power": 2.0}))
    assert rates == pytest.approx([0.01 * (1 - n / 8) ** 2 for n in range(8)])
    assert rates[4] == pytest.approx(0.0025)


@pytest.mark.parametrize("clip", [0.5, None])
def test_gradients_are_clipped_to_their_norm(clip, tmp_path, monkeypatch):
    def norm(optimiser):
        gradients = [p.grad for group in optimiser.param_groups for p in group["params"]]
        return torch.cat([gradient.flatten() for gradient in gradients]).norm().item()

    norms = _spy(monkeypatch, norm)
    config = TINY.model_copy(update={"clip": clip, "epochs": 1})
    trained(tmp_path, config=config, loss=lambda logits, *_: 100 * logits.square().mean())
    if clip is None:
        assert min(norms) > 5
    else:
        assert norms == pytest.approx([0.5] * 4, rel=1e-3)


def _spy(monkeypatch, look):
    """What ``look`` sees of the optimiser at every step."""
    seen, step = [], torch.optim.Adam.step

    def spy(self, *arguments):
        seen.append(look(self))
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    return seen


def test_a_finished_training_is_not_repeated(tmp_path):
    first = trained(tmp_path)
    ticks = []
    again = trained(tmp_path, tick=lambda *step: ticks.append(step))
    assert ticks == []
    assert again.images_per_second is None
    assert torch.equal(weights(first.network), weights(again.network))


def first_batch(slices, labels, config, seed=0):
    """Views, labels and tags of the first slices of an epoch."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(slices), generator=generator)
    loss = UNetLoss.of(None, labels, config, cross_entropy_and_dice, sided=slices.sided)
    indices, images, tags = next(batches(slices, order, config.batch, CPU))
    return *loss.views(images, indices, generator), tags


def test_the_seed_fixes_the_views():
    slices = toy_slices(8)
    one, same, other = (first_batch(slices, toy_masks(slices), TINY, seed) for seed in (1, 1, 2))
    for a, b in zip(one, same, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one[0], other[0])


def test_views_and_labels_move_together():
    slices = toy_slices(8, organs=("bright",))
    config = TINY.model_copy(update={"rotate": 15.0, "jitter": 0.0, "batch": 8, "side": 64})
    views, labels, _ = first_batch(slices, toy_masks(slices), config)
    bright = views[:, 0] > 0.8  # the square is 250 / 255, all else below 0.52
    agreement = (bright == (labels == 1)).float().mean()
    assert agreement > 0.99
    assert bright.any()


@pytest.mark.parametrize(("sided", "flips"), [(False, True), (True, False)])
def test_organs_with_a_side_are_not_mirrored(sided, flips):
    slices = toy_slices(16, organs=("bright",), sided=sided)
    config = TINY.model_copy(update={"rotate": 0.0, "jitter": 0.0, "batch": 16})
    _, labels, tags = first_batch(slices, toy_masks(slices), config)
    at_the_right = labels[tags[:, 0] > 0][:, :, 16:].bool().any(dim=(1, 2))
    assert bool(at_the_right.any()) is flips


def test_labels_may_be_coarser_than_the_network():
    slices = toy_slices(8)
    config = TINY.model_copy(update={"rotate": 0.0, "flip": "never"})
    coarse = toy_masks(slices)[:, ::4, ::4]
    _, labels, _ = first_batch(slices, coarse, config)
    _, fine, _ = first_batch(slices, toy_masks(slices), config)
    assert torch.equal(labels, fine)


def test_a_loss_of_ones_own_sees_logits_labels_and_tags(tmp_path):
    shapes = []

    def loss(logits, labels, tags):
        shapes.append((tuple(logits.shape), tuple(labels.shape), tuple(tags.shape)))
        return logits.square().mean()

    train_unet(toy_context(tmp_path, epochs=1), toy_masks(toy_slices(16)), loss=loss)
    assert shapes == [((4, 3, 32, 32), (4, 32, 32), (4, 2))] * 4
    assert (tmp_path / "unet.safetensors").exists()


def test_a_diverged_training_says_so(tmp_path):
    def loss(logits, labels, tags):
        return logits.mean() * float("nan")

    with pytest.raises(CamzooError, match=r"diverged in epoch 1.*lower segmentation\.lr"):
        trained(tmp_path, loss=loss)


def test_unknown_labels_teach_nothing(tmp_path):
    labels = np.full((16, 64, 64), UNKNOWN, np.uint8)
    before = weights(build_unet(3, TINY.widths, seed=0))
    config = TINY.model_copy(update={"rotate": 0.0, "epochs": 1})  # no corner turns in as known
    net = trained(tmp_path, config=config, labels=labels)
    assert torch.equal(weights(net.network), before)


def test_the_network_is_monais_with_group_normalisation():
    network = build_unet(2, (16, 32, 64, 128, 128), seed=3)
    groups = {m.num_groups for m in network.modules() if isinstance(m, nn.GroupNorm)}
    assert type(network).__module__.startswith("monai.")
    assert groups == {8}
    assert torch.equal(weights(network), weights(build_unet(2, (16, 32, 64, 128, 128), seed=3)))
