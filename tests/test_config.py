import json
from pathlib import Path

import pytest

from camzoo.config import BenchConfig
from camzoo.errors import ConfigError, UnknownNameError
from camzoo.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("dataset", ["phantom", "acdc", "chaos", "promri"])
def test_presets_are_valid_and_named(name, dataset):
    config = preset(name, dataset)
    assert config.preset == name
    assert config.data.name == dataset
    assert config.run.startswith(f"{dataset}-{name}-")


def test_a_variant_of_the_phantom_may_have_a_recipe_of_its_own():
    """Four organs take that of CHAOS, one organ in the middle that of ACDC; one scale for all."""
    stages = {
        variant: preset("quick", "phantom", variant).backbone.stages
        for variant in ("", "prostate", "cardiac", "abdomen")
    }
    assert stages == {"": (4,), "prostate": (4,), "cardiac": (4,), "abdomen": (4, 5)}
    assert preset("quick", "phantom", "abdomen").maps.scales == (1.0,)
    assert preset("smoke", "phantom", "abdomen") == preset("smoke", "phantom")


def test_an_unknown_preset_is_refused():
    with pytest.raises(UnknownNameError, match="known: smoke, quick, paper"):
        preset("huge", "acdc")


def test_changes_are_dotted_and_validated():
    config = BenchConfig().changed(
        {"training.epochs": "3", "data.options.variant": "abdomen", "seeds": [0, 1]}
    )
    assert config.training.epochs == 3
    assert config.data.options == {"variant": "abdomen"}
    assert config.seeds == (0, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training.epoch": 3}, "unknown setting 'training.epoch'"),
        ({"nothing.at.all": 3}, "unknown setting 'nothing.at.all'"),
        ({"training.epochs": 0}, r"training.epochs: .* greater than 0, got 0"),
        ({"training.resize": [640, 320]}, "smallest, largest"),
        ({"evaluation.thresholds": [0.5, 0.4]}, "ascending"),
        ({"maps.normalisation": "softmax"}, "maps.normalisation: .*'softmax'"),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        BenchConfig().changed(changes)


def test_the_run_is_named_by_what_numbers_depend_on():
    config = BenchConfig()
    assert config.run == config.changed({"data.root": Path("/elsewhere"), "device": "cpu"}).run
    assert config.run != config.changed({"training.lr": 0.05}).run
    assert config.run != config.changed({"seeds": [1]}).run
    a = config.changed({"backbone.weights": Path("/here/w.safetensors")})
    b = config.changed({"backbone.weights": Path("/there/w.safetensors")})
    assert a.run == b.run


def test_a_published_configuration_names_no_place(tmp_path):
    weights = tmp_path / "weights.safetensors"
    config = preset("quick", "acdc").changed(
        {"data.root": tmp_path, "backbone.weights": weights, "device": "cpu"}
    )
    tree = config.without_places()
    assert str(tmp_path) not in json.dumps(tree)
    assert tree["backbone"]["weights"] == "weights.safetensors"
    assert tree["device"] == "cpu"
