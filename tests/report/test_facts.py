from pathlib import Path

import pytest

from camzoo.config import read_config
from camzoo.evaluate.rows import make_rows
from camzoo.report.facts import facts
from camzoo.report.records import read_record
from camzoo.report.viewed_cells import is_synthetic
from tests.report.run_folders import ENVIRONMENT, run_folder
from tests.report.test_segmentation_tables import COSTS, maps, record

RECORDS = Path(__file__).parents[2] / "leaderboards" / "records"


def lines(tmp_path, baselines=(), dataset="phantom", **changes):
    of_maps = make_rows([row | {"dataset": dataset} for row in maps()])
    learnt = [record(name, i, (1, 2, 40), dataset=dataset) for name in baselines for i in (0, 1)]
    rows = make_rows([*of_maps.to_dict("records"), *learnt])
    return facts(
        read_record(run_folder(tmp_path / "r1", rows, of_maps, **changes)), "r1/"
    ).splitlines()


@pytest.mark.parametrize(
    ("stages", "words"), [([], "the last features"), ([4], "stage 4"), ([3, 5], "stages 3, 5")]
)
def test_it_says_what_the_head_reads_and_the_maps_are_of(stages, words, tmp_path):
    settings = {"backbone.stages": stages, "backbone.weights": "none", "maps.scales": [1.0]}
    found = lines(tmp_path, settings=settings)
    assert (
        f"- classifier: resnet50, weights none, head on {words}; 5 epochs, crops of 512 pixels, "
        "seed 0" in found
    )
    assert (
        "- maps: 512 pixels, scales 1.0, normalisation max, target layer: what the head reads "
        f"({words})" in found
    )


def test_a_target_layer_is_named(tmp_path):
    found = lines(tmp_path, settings={"backbone.layer": "layer3", "maps.side": 96})
    assert any(line.startswith("- maps: 96 pixels") for line in found)
    assert any(line.endswith("target layer: layer3") for line in found)


def test_it_says_at_which_commit_each_baseline_was_made(tmp_path):
    old = ENVIRONMENT | {"commit": "older-dirty"}
    made = {"sizeloss": old, "bes": ENVIRONMENT, "irnet": old}
    costs = [COSTS[0] | {"method": name, "environment": where} for name, where in made.items()]
    found = lines(tmp_path, made, costs=costs)
    assert (
        "- made with: camzoo 0.1.0, torch 2.9, cpu (Some Processor); put together at abc" in found
    )
    assert "- baselines made: irnet, sizeloss at older-dirty; bes at abc" in found
    (tmp_path / "x").mkdir()
    assert not [line for line in lines(tmp_path / "x") if "baselines made" in line]


def test_it_says_how_to_run_it_again(tmp_path):
    weights = {"backbone.weights": "/some/where/w.safetensors"}
    assert (
        "- again: `camzoo bench --config r1/manifest.json --root FOLDER --weights "
        "w.safetensors`" in lines(tmp_path, dataset="acdc", settings=weights)
    )
    (tmp_path / "x").mkdir()
    assert "- again: `camzoo bench --config r1/manifest.json`" in lines(tmp_path / "x")


@pytest.mark.parametrize(
    ("dataset", "test", "roots"),
    [
        ("phantom", "phantom:seed=1", ""),
        ("phantom", "nnunet:patient=x", " --test-root FOLDER"),
        ("acdc", "phantom", " --root FOLDER"),
        ("acdc", "nnunet", " --root FOLDER --test-root FOLDER"),
    ],
)
def test_both_data_sets_of_an_external_test_are_asked_for(tmp_path, dataset, test, roots):
    """Nor may scans of patients that test leave unasked because what was learnt from is made up."""
    found = lines(tmp_path, dataset=dataset, settings={"data.test": test})
    assert f"- again: `camzoo bench --config r1/manifest.json{roots}`" in found
    assert is_synthetic(read_record(tmp_path / "r1")) == (roots == "")


@pytest.mark.parametrize("manifest", sorted(RECORDS.glob("*/manifest.json")), ids=str)
def test_what_is_published_can_be_run_again(manifest):
    """Also records from before there were checksums, digests of data and names made of these."""
    config = read_config(manifest)
    assert manifest.parent.name.startswith(f"{config.data.name}-{config.preset}-")
