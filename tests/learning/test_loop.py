from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from camzoo.config import BackboneConfig, SegmentationConfig, TrainingConfig
from camzoo.core.errors import CamzooError, DataError
from camzoo.learning.checkpoint import load_checkpoint
from camzoo.learning.loop import _weights, draw_order, fit, minimise, require_both_tags
from camzoo.learning.recipe import Poly, adam, adamw, passes, sgd
from camzoo.network.backbone import Trainable, build_classifier
from tests.toy import toy_slices

BACKBONE = BackboneConfig(name="resnet10t", weights="none", frozen=0)
RECIPE = TrainingConfig(
    epochs=3, batch=8, crop=64, resize=(64, 64), lr=0.02, head_factor=5, momentum=0.9, flip="never",
    precision="fp32", clip=5.0, warmup=0.1,
)  # fmt: skip
CPU = torch.device("cpu")


def train(tmp_path, recipe=RECIPE, slices=None, backbone=BACKBONE, **arguments):
    classifier = build_classifier(backbone, 2, seed=0)
    history = fit(
        classifier,
        slices or toy_slices(),
        recipe,
        seed=0,
        device=CPU,
        checkpoint=tmp_path / "checkpoint.safetensors",
        **arguments,
    )
    return classifier, history


def test_the_loss_falls_and_tags_are_learnt(tmp_path):
    _, history = train(tmp_path, RECIPE.model_copy(update={"epochs": 8}))
    assert history[0].loss > 0.5
    assert history[-1].loss < 0.25
    assert min(history[-1].accuracy) > 0.85


@pytest.mark.parametrize(("precision", "dropout"), [("fp32", 0.0), ("bf16", 0.0), ("fp32", 0.5)])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, precision, dropout):
    """Also where the network itself draws, whatever has been drawn before."""
    recipe = RECIPE.model_copy(update={"precision": precision})
    backbone = BACKBONE.model_copy(
        update={"name": "test_resnet", "arguments": {"drop_rate": dropout}}
    )
    straight, history = train(tmp_path, recipe, backbone=backbone)
    (tmp_path / "checkpoint.safetensors").unlink()
    torch.rand(3)

    class KilledError(Exception):
        pass

    def kill(done, _total):
        if done == 5:  # in the middle of the second epoch of three steps
            raise KilledError

    with pytest.raises(KilledError):
        train(tmp_path, recipe, backbone=backbone, tick=kill)
    resumed, resumed_history = train(tmp_path, recipe, backbone=backbone)
    assert resumed_history == history
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_divergence_is_named(tmp_path):
    recipe = RECIPE.model_copy(update={"lr": 1e30, "momentum": 0.0, "clip": None})
    with pytest.raises(CamzooError, match=r"training diverged in epoch \d.*lower training\.lr"):
        train(tmp_path, recipe)


class Number(Trainable):
    """One number, which an objective draws towards the mean of a batch's tags."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(4.0))

    @property
    def fresh(self):
        return [self.value]

    def __call__(self, images, indices, tags, generator):
        return (self.value - tags.mean()) ** 2, None


def run(network, recipe, path, objective=None, **more):
    return minimise(
        objective or network, network, toy_slices(10), recipe,
        seed=0, device=CPU, checkpoint=path, **more,
    )  # fmt: skip


RECIPES = {
    "sgd": sgd(TrainingConfig(epochs=3, batch=4, lr=0.1, head_factor=1.0, momentum=0.9)),
    "adam": adam(SegmentationConfig(epochs=3, batch=4, lr=0.1)),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_any_optimiser_learns_and_goes_on_where_it_was_killed(recipe, tmp_path):
    whole, killed, resumed, ticks = Number(), Number(), Number(), []
    training = run(whole, recipe, tmp_path / "whole", tick=lambda *tick: ticks.append(tick))
    assert ticks == [(step, 9) for step in range(1, 10)]  # 3 epochs of 3 steps
    assert training.epochs[-1].loss < training.epochs[0].loss
    assert training.epochs[0].accuracy == ()
    assert training.images_per_second > 0

    def kill(done, _total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(killed, recipe, tmp_path / "killed", tick=kill)
    assert any(key.startswith("optimiser.") for key in load_file(tmp_path / "killed"))
    assert run(resumed, recipe, tmp_path / "killed").epochs == training.epochs
    assert resumed.value == whole.value
    # What is left behind are the weights and the history; nothing is trained again.
    assert sorted(load_file(tmp_path / "killed")) == ["history", "model.value"]
    assert run(Number(), recipe, tmp_path / "killed").images_per_second is None


@pytest.mark.parametrize(
    ("epochs", "steps", "slices", "expected"),
    [
        (5, 0, 450, 5),  # 29 steps each at 16 slices a step
        (5, 145, 450, 5),
        (5, 146, 450, 6),
        (5, 600, 450, 21),  # 20 passes are 580 steps
        (5, 600, 8, 600),  # less than a batch
        (50, 600, 450, 50),
    ],
)
def test_few_slices_are_gone_through_till_the_steps_are_enough(epochs, steps, slices, expected):
    for config in (TrainingConfig, SegmentationConfig):
        assert passes(config(epochs=epochs, steps=steps, batch=16), slices) == expected


@pytest.mark.parametrize("make", [sgd, adam])
def test_the_schedule_ends_with_the_last_of_the_steps(make, tmp_path):
    """Of 10 slices in batches of 4, at least 7 steps are 3 passes of 3, and the rate nears 0."""
    settings = TrainingConfig if make is sgd else SegmentationConfig
    recipe = make(settings(epochs=1, steps=7, batch=4, lr=0.1, power=1))
    seen, ticks = [], []

    def schedule(start, over):
        seen.append(over)
        return recipe.schedule(start, over)

    training = run(
        Number(), replace(recipe, schedule=schedule), tmp_path / "all",
        tick=lambda *tick: ticks.append(tick),
    )  # fmt: skip
    assert ticks[-1] == (9, 9)
    assert len(training.epochs) == 3
    # In the middle of the last step, and in front of the last 2 of 30 slices.
    assert seen[-1] == pytest.approx({sgd: 8.5 / 9, adam: 28 / 30}[make])


def test_the_groups_of_sgd_start_at_their_own_rates():
    network = build_classifier(BACKBONE, 2, seed=0)
    trunk, fresh = sgd(RECIPE).optimiser(network).param_groups
    assert (trunk["lr"], fresh["lr"]) == (0.02, pytest.approx(0.1))
    assert fresh["params"] == network.fresh
    count = sum(p.requires_grad for p in network.parameters())
    assert len(trunk["params"]) + len(fresh["params"]) == count


def test_adamw_decays_matrices_and_kernels_alone():
    """With a gradient of 0 a step of AdamW shrinks a weight by rate times decay."""
    backbone = BACKBONE.model_copy(update={"name": "test_vit", "arguments": {"depth": 1}})
    network = build_classifier(backbone, 2, seed=0)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    recipe = adamw(TrainingConfig(epochs=3, steps=7, batch=4, clip=2), lr=0.1, weight_decay=0.5)
    assert (recipe.epochs, recipe.steps, recipe.batch, recipe.clip) == (3, 7, 4, 2)
    optimiser = recipe.optimiser(network)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, parameter in network.named_parameters():
        flat = name.endswith(("bias", "cls_token", "pos_embed")) or "norm" in name
        torch.testing.assert_close(parameter.detach(), before[name] * (1 if flat else 0.95))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_the_cases_of_its_batch(value, tmp_path):
    """Slices of case b alone make it so; the epoch is stopped and nothing is kept of it."""
    network, slices = Number(), toy_slices(10)
    (_, start, stop), (second, *_) = slices.cases
    recipe = replace(RECIPES["sgd"], batch=1)

    def objective(images, indices, tags, generator):
        loss, logits = network(images, indices, tags, generator)
        return loss * (1.0 if start <= indices[0] < stop else value), logits

    message = (
        rf"in epoch 1, step \d+ of 10: the loss of a batch with slices of {second} is {value}; "
    )
    with pytest.raises(CamzooError, match=message + r"lower training\.lr or training\.head_factor"):
        run(network, recipe, tmp_path / "c", objective)
    assert load_checkpoint(tmp_path / "c", Number()) == []


def test_a_sum_of_losses_that_overflows_is_no_mean(tmp_path):
    network = Number()

    def objective(images, indices, tags, generator):
        return network.value * 0 + 3e38, None

    with pytest.raises(CamzooError, match=r"training diverged in epoch 1"):
        run(network, RECIPES["sgd"], tmp_path / "c", objective)


def test_a_tag_that_never_changes_is_refused():
    slices = toy_slices()
    always = replace(slices, tags=np.ones_like(slices.tags))
    with pytest.raises(DataError, match="bright is in every one of the 24 training slices"):
        require_both_tags(always)
    never = replace(slices, tags=slices.tags * np.array([1, 0], np.uint8))
    with pytest.raises(DataError, match="dark is in no one of the 24"):
        require_both_tags(never)


def test_the_schedule_is_poly_after_a_linear_rise():
    schedule = Poly(0.9, warmup=0.2)
    rates = [schedule(2.0, t) for t in (0.1, 0.3, 0.9)]
    # 2 x rise x (1 - t)^0.9, worked out by hand
    assert rates == pytest.approx([0.5 * 1.819066, 1.450836, 0.251785], abs=1e-5)


@pytest.mark.parametrize(
    ("centred", "shares"),
    [
        (True, [1 / 12, 3 / 12, 5 / 12, 7 / 12, 9 / 12, 11 / 12]),
        (False, [0, 0.2, 0.4, 0.5, 0.7, 0.9]),
    ],
)
def test_a_schedule_counts_middles_of_steps_or_slices_in_front_of_them(centred, shares, tmp_path):
    """2 epochs of 10 slices in batches of 4, 4 and 2."""
    seen = []
    recipe = replace(
        RECIPES["adam"], epochs=2, centred=centred,
        schedule=lambda start, t: seen.append(t) or start,
    )  # fmt: skip
    run(Number(), recipe, tmp_path / "c")
    assert seen == pytest.approx(shares)


def test_rare_tags_are_shown_more_often():
    tags = (np.arange(400) % 20 > 0).astype(np.uint8)[:, None]  # 95 % positive, as in ACDC
    slices = replace(toy_slices(count=400, size=8, organs=("bright",)), tags=tags)
    generator = torch.Generator().manual_seed(0)
    plain = draw_order(slices, 0.0, generator)
    drawn = draw_order(slices, 0.4, generator)
    assert sorted(plain.tolist()) == list(range(400))
    assert 1 - tags[drawn.numpy()].mean() == pytest.approx(0.4, abs=0.08)


def test_weights_by_hand():
    tags = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert _weights(tags, 0.25) is None
    # First tag: 3/4 to 1/2, so 2/3 where it is and 2 where it is not; the second needs nothing.
    expected = [(2 / 3 + 1) / 2, (2 / 3 + 1) / 2, (2 / 3 + 1) / 2, (2 + 1) / 2]
    assert _weights(tags, 0.5).tolist() == pytest.approx(expected)
