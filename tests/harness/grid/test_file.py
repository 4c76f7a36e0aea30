"""What a file of a grid may hold, and what is said of one that is wrong."""

import re

import pytest

from camzoo.core.errors import ConfigError
from camzoo.harness.grid.file import read_grid
from camzoo.segment.selection import select_baselines
from camzoo.steps.selection import select_methods
from tests.conftest import ROOT
from tests.harness.grid.small import PROSTATE, runs_of, written


def test_paths_are_from_the_folder_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    text = """
[[data]]
name = "acdc"
root = "scans/ACDC"
[[data]]
name = "chaos"
root = "/scans/CHAOS"
test = "nnunet"
test_root = "scans/Livers"
[[backbone]]
name = "resnet18"
weights = "w.safetensors"
[[backbone]]
name = "resnet34"
weights = "imagenet"
"""
    written(tmp_path, text)
    grid = read_grid(tmp_path.relative_to(tmp_path.parent) / "grid.toml")
    assert [str(table.root) for table in grid.data] == [
        str(tmp_path / "scans" / "ACDC"), "/scans/CHAOS"
    ]  # fmt: skip
    assert grid.data[1].test_root == tmp_path / "scans" / "Livers"
    assert [table.weights for table in grid.backbone] == [
        str(tmp_path / "w.safetensors"), "imagenet"
    ]  # fmt: skip


def test_settings_are_nested_or_dotted(tmp_path):
    text = """
[set]
training.epochs = 3
"maps.side" = 64
[[data]]
name = "phantom"
set = {training.epochs = 4, backbone.arguments = {drop_rate = 0.5}}
"""
    grid = read_grid(written(tmp_path, text))
    assert grid.settings == {"training.epochs": 3, "maps.side": 64}
    assert grid.data[0].settings == {
        "training.epochs": 4, "backbone.arguments": {"drop_rate": 0.5}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it names no data set; write [[data]]"),
        ("preset = \n", "cannot be read as a grid"),
        ("presets = 'quick'\n" + PROSTATE, "unknown key 'presets'; did you mean preset?"),
        (PROSTATE + "fold = [0]", "unknown key of [[data]] 'fold'; did you mean folds?"),
        (PROSTATE + "[[backbone]]\nweight = 'none'", "[[backbone]] 'weight'; did you mean weights"),
        (PROSTATE + "[[backbone]]\nweights = 'none'", "[[backbone]] number 1 has no name"),
        (PROSTATE + "[[exclude]]\nseeds = 1", "[[exclude]] 'seeds'; did you mean seed?"),
        ("[data]\nname = 'phantom'", "data is written as tables of its own, each under [[data]]"),
        (PROSTATE + PROSTATE, "[[data]] prostates is there twice; give one of them another label"),
        (PROSTATE + 2 * "[[backbone]]\nname='resnet18'\n", "[[backbone]] resnet18 is there twice"),
        ("seeds = [0, -1]\n" + PROSTATE, "seeds.1: takes a whole number from 0 to 4294967295"),
        ("seeds = [2, 2]\n" + PROSTATE, "seeds: takes each value once, and 2 is there twice"),
        (PROSTATE + "folds = []", "data.0.folds: takes 1 value or more"),
        (PROSTATE + "root = '~/scans'", "root '~/scans': ~ and variables are not expanded"),
        (PROSTATE + "root = '$DATA'", "root '$DATA': ~ and variables are not expanded"),
        ("[set]\nseeds = [1]\n" + PROSTATE, "set.seeds: is written as seeds, got [1]"),
        (
            PROSTATE + "set = {data.folds = [1]}",
            "data.0.set.data.folds: is written as folds in [[data]], got [1]",
        ),
        (
            f"a = {{{'k' * 9999} = 1, {'k' * 9999} = 2}}",
            "cannot be read as a grid: Duplicate inline",
        ),
        (PROSTATE + "[[exclude]]", "takes one or more of data, backbone, seed, fold, method"),
        (
            PROSTATE + "[[exclude]]\nmethod = 'cam'\nbaseline = 'p-cam'",
            "takes methods or baselines: write two exclusions",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line_that_names_the_file(tmp_path, text, said):
    with pytest.raises(ConfigError) as caught:
        read_grid(written(tmp_path, text))
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "grid.toml"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read as a grid"):
        read_grid(tmp_path / "none.toml")


def test_errors_of_settings_name_the_file_and_the_run(tmp_path):
    with pytest.raises(ConfigError) as caught:
        runs_of(tmp_path, PROSTATE + "set = {training.epoch = 3}")
    assert str(caught.value).startswith(f"{tmp_path / 'grid.toml'}: prostates: unknown setting")
    assert "did you mean training.epochs" in str(caught.value)


def test_the_grid_of_the_docs(tmp_path):
    text = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    (block,) = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    runs = runs_of(tmp_path, block)
    assert [(run.label, run.config.data.folds, run.config.seeds) for run in runs] == [
        ("acdc, mobilenetv2_100", (0,), (0, 1, 2)),
        ("acdc, resnet50", (0,), (0,)),
        ("knees, mobilenetv2_100", (0, 1), (0, 1, 2)),
        ("knees, resnet50", (0, 1), (0,)),
    ]
    assert ["c-cam" in run.config.methods for run in runs] == [True, True, False, False]
    assert [run.config.training.epochs for run in runs] == [20, 20, 40, 40]


def test_the_grid_of_the_leaderboards_names_what_there_is():
    """Its data lie nowhere on most machines; names and settings have to be those of today."""
    grid = read_grid(ROOT / "leaderboards" / "grid.toml")
    assert {table.name for table in grid.data} == {"promri", "acdc", "chaos"}
    assert select_methods(",".join(grid.methods))
    assert select_baselines(",".join(grid.baselines))
