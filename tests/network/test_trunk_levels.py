import pytest
import torch
from safetensors.torch import save_file

from camzoo.config import BackboneConfig
from camzoo.core.errors import ConfigError
from camzoo.network.backbone import build_classifier
from camzoo.network.trunk_levels import run_stages, run_with_stages, stage_channels, starting_point
from camzoo.network.weights import read_state

BARE = BackboneConfig(name="resnet10t", weights="none", frozen=0)


def test_stages_come_from_fine_to_coarse_and_carry_a_gradient():
    classifier = build_classifier(BARE, 2, seed=0).eval()
    assert stage_channels(classifier) == [64, 64, 128, 256, 512]
    stages = run_stages(classifier, torch.rand(2, 64, 96))
    assert [tuple(s.shape[2:]) for s in stages] == [(32, 48), (16, 24), (8, 12), (4, 6), (4, 6)]
    stages[-1].sum().backward()
    assert classifier.model.conv1[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("stages", [(), (5,), (4,), (3, 4), (3, 5)])
def test_features_and_stages_come_from_one_pass(stages):
    """Also where the head taps stages, and where the trunk is cut behind the last one of them."""
    config = BARE.model_copy(update={"stages": stages})
    classifier = build_classifier(config, 2, seed=0).eval()
    trunk = getattr(classifier.model, "trunk", classifier.model)
    passes = []
    trunk.conv1.register_forward_hook(lambda *_: passes.append(1))
    grey = torch.rand(2, 64, 96)
    features, found = run_with_stages(classifier, grey)
    assert len(passes) == 1
    expected = classifier.model.forward_features(classifier.normalise(grey))
    assert torch.equal(features, expected)
    assert all(map(torch.equal, found, run_stages(classifier, grey)))
    assert len(found) == (max(stages) if stages else 5)


def test_without_weights_one_starts_from_the_trained_classifier():
    classifier = build_classifier(BARE, 2, seed=0)
    assert starting_point(classifier, BARE, 2, seed=1) is classifier


def test_with_weights_one_starts_from_these(tmp_path):
    source = build_classifier(BARE, 2, seed=0)
    save_file(source.model.state_dict(), tmp_path / "w.safetensors")
    config = BARE.model_copy(update={"weights": tmp_path / "w.safetensors"})
    trained = build_classifier(BARE, 3, seed=5)
    fresh = starting_point(trained, config, 3, seed=7)
    name = "conv1.0.weight"
    assert torch.equal(fresh.model.state_dict()[name], read_state(config.weights)[name])
    assert fresh.head.out_features == 3


def test_a_trunk_without_stages_is_refused():
    classifier = build_classifier(BARE, 2, seed=0)
    classifier.model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1))
    with pytest.raises(ConfigError, match="Sequential has no forward_intermediates"):
        run_stages(classifier, torch.rand(1, 64, 64))
    with pytest.raises(ConfigError, match="Sequential has no forward_intermediates"):
        run_with_stages(classifier, torch.rand(1, 64, 64))
