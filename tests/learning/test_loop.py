from dataclasses import replace

import numpy as np
import pytest
import torch

from camzoo.config import BackboneConfig, TrainingConfig
from camzoo.core.errors import CamzooError, DataError
from camzoo.learning.loop import _order, _set_rates, _weights, fit, mirrored, require_both_tags
from camzoo.network.backbone import build_classifier
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
    backbone = BACKBONE.model_copy(update={"arguments": {"drop_rate": dropout}})
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


def test_a_tag_that_never_changes_is_refused():
    slices = toy_slices()
    always = replace(slices, tags=np.ones_like(slices.tags))
    with pytest.raises(DataError, match="bright is in every one of the 24 training slices"):
        require_both_tags(always)
    never = replace(slices, tags=slices.tags * np.array([1, 0], np.uint8))
    with pytest.raises(DataError, match="dark is in no one of the 24"):
        require_both_tags(never)


def test_mirroring_is_off_where_organs_have_a_side():
    assert mirrored("auto", toy_slices())
    assert not mirrored("auto", toy_slices(sided=True))
    assert mirrored("always", toy_slices(sided=True))
    assert not mirrored("never", toy_slices())


def test_the_schedule_is_poly_after_a_linear_rise():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([{"params": [parameter], "factor": 10.0}], lr=1.0)
    recipe = TrainingConfig(lr=0.1, power=0.9, warmup=0.2)
    rates = []
    for done in (0.1, 0.2, 0.5):
        _set_rates(optimiser, recipe, done)
        rates.append(optimiser.param_groups[0]["lr"])
    # 0.1 x 10 x rise x (1 - t)^0.9, worked out by hand
    assert rates == pytest.approx([0.5 * 0.909533, 0.818052, 0.535887], abs=1e-5)


def test_rare_tags_are_shown_more_often():
    tags = (np.arange(400) % 20 > 0).astype(np.uint8)[:, None]  # 95 % positive, as in ACDC
    slices = replace(toy_slices(count=400, size=8, organs=("bright",)), tags=tags)
    generator = torch.Generator().manual_seed(0)
    plain = _order(slices, TrainingConfig(), generator)
    drawn = _order(slices, TrainingConfig(rare=0.4), generator)
    assert sorted(plain.tolist()) == list(range(400))
    assert 1 - tags[drawn.numpy()].mean() == pytest.approx(0.4, abs=0.08)


def test_weights_by_hand():
    tags = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert _weights(tags, 0.25) is None
    # First tag: 3/4 to 1/2, so 2/3 where it is and 2 where it is not; the second needs nothing.
    expected = [(2 / 3 + 1) / 2, (2 / 3 + 1) / 2, (2 / 3 + 1) / 2, (2 + 1) / 2]
    assert _weights(tags, 0.5).tolist() == pytest.approx(expected)
