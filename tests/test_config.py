import json

import pytest

from camzoo.config import BenchConfig, DataConfig, read_config
from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("dataset", ["phantom", "acdc", "chaos", "promri"])
def test_presets_are_valid_and_named(name, dataset):
    config = preset(name, dataset)
    assert config.preset == name
    assert config.data.name == dataset


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
        ({"training.epoch": 3}, "unknown setting 'training.epoch'; did you mean training.epochs"),
        ({"nothing.at.all": 3}, "unknown setting 'nothing.at.all'"),
        ({"maps.normalisation": "softmax"}, "maps.normalisation: takes 'max', .*, got 'softmax'"),
        ({"training": 3}, "training: takes settings of its own"),
        ({"data.split": "x"}, "data.split: takes 'patient' or 'paper-like', got 'x'"),
        ({"backbone.dilated": "maybe"}, "backbone.dilated: takes true or false, got 'maybe'"),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        BenchConfig().changed(changes)


NAN, INF = float("nan"), float("inf")
#: Setting -> what it takes, in the words of the message, and values that it does not take.
OUT_OF_RANGE = {
    "plugins.0": ("a plug-in", [["a\nb"], [3]]),
    "data.k_folds": ("a whole number from 3 to 1000", [2, -1, 2.5, "x", INF]),
    "data.limit": ("a whole number from 1 to", [0, -1, 2.5, "x", INF]),
    "preset": ("a name", ["../../x", "/abs", "a\0b", "", "a/b", "a\\b", "..", "a" * 65, "é", 5]),
    "data.name": ("a name", ["../phantom", "/etc", ".", "a b", None]),
    "data.root": ("the path of a folder", ["a\0b", 3]),
    "data.test": ("the name of a data set", ["", "two\nlines"]),
    "data.test_root": ("the path of a folder", ["a\0b", 3]),
    "data.options.x": ("true, a finite number or text", [NAN, [1], {}, None, "a\nb", "x" * 301]),
    "data.size": ("a whole number from 8 to 4096", [1, 0, -5, 1e9, 64.5, "big", True, None, INF]),
    "data.percentiles": (
        "two numbers from 0 to 100",
        [[99, 1], [-5, 200], [NAN, 99], [1, NAN], [5, 5], [1], [1, 2, 3], 5, [0, INF]],
    ),
    "data.min_area": ("a whole number from 1", [0, -1, 10**7]),
    "data.folds": ("1 value or more", [[]]),
    "data.folds.0": ("a whole number from 0 to 999", [[-1], [1000], [0.5]]),
    "data.split_seed": ("a whole number from 0 to 4294967295", [-1, 2**63, 1.5]),
    "backbone.name": ("the name of a timm model", ["", "a\nb", "a" * 301, 5]),
    "backbone.weights": ("imagenet, none or the path", ["a\0b", 5]),
    "backbone.output_stride": ("1, 2, 4, 8, 16, 32 or 64", [7, 0, -8, 128, 1e9]),
    "backbone.stages": ("ascending", [[5, 4], [4, 4], [0], [101], "x"]),
    "backbone.width": ("a whole number from 1 to 8192", [0, 10**6]),
    "backbone.frozen": ("a whole number from 0", [-1, 10**6]),
    "backbone.layer": ("the name of a layer", ["", "a\0b", 5]),
    "backbone.arguments.drop_rate": ("true, a finite number or text", [NAN, [1]]),
    "backbone.mean": ("takes 3 numbers", [[0.5], [0.5] * 2, [0.5] * 4, []]),
    "backbone.mean.0": ("a number from -1000 to 1000", [[NAN, 0, 0], [INF, 0, 0]]),
    "backbone.std": ("takes 3 numbers", [[0.5], [0.5] * 4]),
    "backbone.std.0": ("a number from 1e-06 to 1000", [[0, 1, 1], [NAN, 1, 1], [-1, 1, 1]]),
    "training.epochs": ("a whole number from 1 to 100000", [0, -1, 1e9, True]),
    "training.steps": ("a whole number from 0 to 100000000", [-1, 1e9, True]),
    "training.batch": ("a whole number from 1 to 4096", [0, 10**9]),
    "training.crop": ("a whole number from 8 to 4096", [0, 10**9]),
    "training.resize": ("two whole numbers", [[640, 320], [0, 64], [64, 10**9], [64], 64]),
    "training.rotate": ("a number from 0 to 180", [-1, 181, NAN]),
    "training.jitter": ("a number from 0 to 1", [-0.1, 1.1, NAN]),
    "training.lr": ("a number above 0, up to 100", [0, -1, INF, NAN, 1e30, "fast"]),
    "training.head_factor": ("a number above 0, up to 1000", [0, INF, NAN]),
    "training.momentum": ("a number from 0 to 0.9999", [1, -0.1, NAN]),
    "training.weight_decay": ("a number from 0 to 10", [INF, NAN, -1]),
    "training.power": ("a number from 0 to 100", [-1, INF]),
    "training.warmup": ("a number from 0 to 1", [2, -1]),
    "training.clip": ("a number above 0", [0, NAN, INF]),
    "training.rare": ("a number from 0 to 0.5", [0.6, -0.1]),
    "training.precision": ("auto, bf16 or fp32", ["fp8", 16, True, None]),
    "training.tags": ("own, level or shuffled", ["others", 1, None]),
    "maps.side": ("a whole number from 8", [0, 10**9]),
    "maps.scales": ("1 value or more", [[]]),
    "maps.scales.0": ("a number from 0.1 to 10", [[1e-9], [1e9], [0], [NAN], [-1], ["big"]]),
    "maps.size": ("a whole number from 8", [0, 10**9]),
    "maps.batch": ("a whole number from 1", [0]),
    "evaluation.thresholds": ("ascending", [[], [0.5, 0.4], [0.5, 0.5], [2], [-0.1], [NAN], "x"]),
    "evaluation.fixed": ("one of evaluation.thresholds", [0.512]),
    "evaluation.protocols": ("1 value or more", [[]]),
    "evaluation.protocols.0": ("'oracle'", [["best"]]),
    "segmentation.side": ("a multiple of 16", [0, 100, 10**9 * 16, 8]),
    "segmentation.widths": ("five whole numbers", [[8] * 4, [8] * 6, [8, 8, 8, 8, 0], 8]),
    "segmentation.lr": ("a number above 0, up to 100", [INF, 0, NAN]),
    "segmentation.clip": ("a number above 0", [0, INF]),
    "segmentation.precision": ("auto, bf16 or fp32", ["bfloat16"]),
    "methods": ("1 value or more", [[]]),
    "methods.0": ("a CAM method", [[""], ["a\nb"], [5]]),
    "baselines.0": ("a baseline", [["a\0b"], [None]]),
    "seeds": ("1 value or more", [[]]),
    "seeds.0": ("a whole number from 0 to 4294967295", [[-1], [2**63], [0.5], ["a"]]),
    "device": ("auto, cpu, cuda or cuda:N", ["cpu:7", "cpu:0", "gpu", "", "cuda:-1", "meta", 0]),
    "threads": ("a whole number from 1 to 1024", [0, -1, 10**6, 2**40, 1.5]),
}  # fmt: skip
BAD_SETTINGS = [
    pytest.param(setting, value, takes, id=f"{setting}={value!r:.30}")
    for setting, (takes, values) in OUT_OF_RANGE.items()
    for value in values
]


@pytest.mark.parametrize(("setting", "value", "takes"), BAD_SETTINGS)
def test_what_a_setting_does_not_take_is_refused_in_one_line(setting, value, takes):
    """The line names the setting, what it takes and what was given."""
    changed = setting.removesuffix(".0")  # of a list's first value
    with pytest.raises(ConfigError) as caught:
        BenchConfig().changed({changed: value})
    message = str(caught.value)
    assert f"wrong setting {setting}: takes" in message
    assert takes in message
    assert ", got " in message
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("seeds", [0, 1, 0]),
        ("data.folds", [2, 2]),
        ("methods", ["cam", "cam"]),
        ("baselines", ["irnet", "irnet"]),
        ("maps.scales", [1.0, 2, 1]),
        ("evaluation.protocols", ["otsu", "otsu"]),
    ],
)
def test_what_is_given_twice_is_refused(setting, values):
    message = f"wrong setting {setting}: takes each value once, and .* is there twice"
    with pytest.raises(ConfigError, match=message):
        BenchConfig().changed({setting: values})


def test_every_number_and_text_of_the_settings_has_a_range():
    """A new setting without one is found here."""
    covered = {name.removesuffix(".0") for name in OUT_OF_RANGE}
    missing = [name for name in _names(BenchConfig().model_dump()) if name not in covered]
    alike = {  # booleans and choices of words, which pydantic checks; types shared with training
        "data.options", "data.slices", "data.split", "backbone.dilated", "backbone.channels",
        "backbone.arguments", "training.flip", "maps.flip", "maps.normalisation",
        "segmentation.flip", "segmentation.epochs", "segmentation.steps", "segmentation.batch",
        "segmentation.rotate", "segmentation.jitter", "segmentation.power",
    }  # fmt: skip
    assert set(missing) == alike


def _names(tree, above=""):
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _names(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def test_both_ends_of_a_range_are_taken():
    ends = {
        "data.size": (8, 4096), "data.percentiles": ([0, 100], [0.5, 0.6]),
        "seeds": ([0, 2**32 - 1],),
        "training.lr": (1e-12, 100), "maps.scales": ([0.1, 10],), "threads": (1, 1024, None),
        "device": ("auto", "cpu", "cuda", "cuda:3"), "backbone.output_stride": (1, 64),
        "training.clip": (None, 1), "training.epochs": ("3", 3.0),
        "preset": ("a", "smoke-2.0_b"), "backbone.name": ("hf-hub:timm/resnet18.a1_in1k",),
    }  # fmt: skip
    for setting, values in ends.items():
        for value in values:
            BenchConfig().changed({setting: value})


def test_one_channel_takes_the_statistics_of_one_or_of_three():
    for count in (1, 3):
        given = {"backbone.channels": 1, "backbone.mean": [0.4] * count, "backbone.std": [0.2]}
        assert len(BenchConfig().changed(given).backbone.mean) == count
    with pytest.raises(ConfigError, match=r"takes 1 or 3 numbers for backbone.channels=1, got"):
        BenchConfig().changed({"backbone.channels": 1, "backbone.mean": [0.4, 0.4]})


def test_a_section_that_is_made_in_python_is_refused_in_the_same_words():
    with pytest.raises(ConfigError, match=r"^wrong setting data.size: takes .*, got 1$"):
        DataConfig(size=1)
    with pytest.raises(ConfigError, match=r"wrong setting training.lr: takes"):
        BenchConfig(training={"lr": NAN})


def test_of_many_wrong_values_the_first_are_named():
    with pytest.raises(ConfigError, match=r"plugins\.4: .*; and 1995 more$") as caught:
        BenchConfig().changed({"plugins": [None] * 2000})
    assert "plugins.5" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_long_or_deep_value_is_shown_in_short():
    deep = []
    for _ in range(900):
        deep = [deep]
    for value in (deep, "x" * 10**6, list(range(10**5))):
        with pytest.raises(ConfigError) as caught:
            BenchConfig().changed({"data.size": value})
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no settings of a run"),
        ("null", "holds no settings of a run"),
        ("[]", "holds no settings of a run"),
        ('{"run": "x"}', "holds no settings of a run"),
        ("[" * 100_000, "holds no settings of a run"),
        ('{"config": null}', "settings are names with values, got None"),
        ('{"config": [1]}', "settings are names with values, got"),
        ('{"config": {"wat": 1}}', "wrong setting wat: there is no such setting, got 1"),
        ('{"config": {"data": {"wat": 1}}}', "data.wat: there is no such setting, got 1"),
        ('{"config": {"data": null}}', "wrong setting data: takes"),
        ('{"config": {"preset": "../../x"}}', "wrong setting preset: takes a name"),
        ('{"config": {"seeds": []}}', "wrong setting seeds: takes 1 value or more"),
        ('{"config": {"training": {"lr": NaN}}}', "wrong setting training.lr: takes"),
        ('{"config": {"a\\nb": 1}}', "there is no such setting"),
    ],
)
def test_a_file_that_is_no_manifest_is_named(text, message, tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "manifest.json"
    for content in (b"\xff\xfe\x00", b"\0"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="holds no settings of a run"):
            read_config(path)
    with pytest.raises(ConfigError, match="holds no settings of a run"):
        read_config(tmp_path)


def test_a_published_configuration_names_no_place(tmp_path):
    weights = tmp_path / "weights.safetensors"
    config = preset("quick", "acdc").changed(
        {
            "data.root": tmp_path, "data.test": "acdc", "data.test_root": tmp_path / "other",
            "backbone.weights": weights, "device": "cpu",
        }
    )  # fmt: skip
    tree = config.without_places()
    assert str(tmp_path) not in json.dumps(tree)
    assert tree["backbone"]["weights"] == "weights.safetensors"
    assert tree["device"] == "cpu"


@pytest.mark.parametrize(
    ("name", "value", "became"),
    [
        ("seeds", 3, (3,)),
        ("maps.scales", 0.5, (0.5,)),
        ("methods", "cam", ("cam",)),
        ("data.folds", [1, 2], (1, 2)),
        ("backbone.stages", 4, (4,)),
    ],
)
def test_one_value_is_a_list_of_one_where_a_list_is_taken(name, value, became):
    tree = BenchConfig().changed({name: value}).model_dump()
    for part in name.split("."):
        tree = tree[part]
    assert tree == became


def test_a_plug_in_is_published_without_its_folder():
    for place in ("/a/b/my.py:A", "c\\my.py:A"):
        plugin = BenchConfig().changed({"plugins": [place]})
        assert plugin.without_places()["plugins"] == ["my.py:A"]


def test_the_plane_of_slices_is_one_of_two():
    assert BenchConfig().data.slices == "acquired"
    assert BenchConfig().changed({"data.slices": "axial"}).data.slices == "axial"
    with pytest.raises(ConfigError, match=r"data.slices: .*'acquired' or 'axial', got 'coronal'"):
        BenchConfig().changed({"data.slices": "coronal"})
