"""Every baseline that is installed goes through the whole run: registered is tested."""

import json

import numpy as np
import pytest
import torch

from camzoo.harness.run import bench
from camzoo.segment.base import PseudoMaskBaseline, baselines
from camzoo.segment.selection import select_baselines
from tests.harness.test_run import TINY

NAMES = select_baselines("all")
#: Side of what the U-Net sees, and of its labels.
SIDE = 32


#: Whose own network is larger than all others here together.
SMALL = {"mctformer": "mctformer:backbone=test_vit:layers=6"}
#: What finds nothing yet: with a classifier of one epoch the mean of a slice speaks for no organ.
UNSURE = {"mcis"}
#: All of them on six phantoms, with a head that reads two stages as the preset quick does.
CONFIG = TINY.changed(
    {
        "backbone.stages": [3, 4],
        "baselines": [SMALL.get(name, name) for name in NAMES],
        "segmentation.side": SIDE,
        "segmentation.widths": [8, 8, 8, 16, 16],
        "segmentation.epochs": 1,
    }
)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return bench(CONFIG, tmp_path_factory.mktemp("baselines"))


@pytest.fixture(scope="module")
def places(result):
    """Folder of what each baseline left behind, by name."""
    costs = json.loads((result.folder / "costs.json").read_text("utf-8"))
    root = result.folder.parent
    return {cost["method"].split()[0]: (root / cost["predictions"]).parent for cost in costs}


def test_none_fails(result):
    assert not result.failures


@pytest.mark.parametrize("name", NAMES)
def test_every_test_volume_is_scored_under_what_the_baseline_declares(name, result):
    rows = result.rows[(result.rows["method"] == name) & (result.rows["stage"] == "segmentation")]
    split = json.loads((result.folder / "manifest.json").read_text("utf-8"))["splits"]["0"]
    assert sorted(rows["case"].unique()) == split["test"]
    assert set(rows["supervision"]) == {baselines.get(name).supervision.value}
    assert set(rows["protocol"]) == {"none"}
    assert (rows["n_ref"] > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_labels_that_it_learnt_are_organs_where_tags_say_so(name, result, places):
    if not issubclass(baselines.get(name), PseudoMaskBaseline):
        pytest.skip("its labels are its own matter")
    split = json.loads((result.folder / "manifest.json").read_text("utf-8"))["splits"]["0"]
    tags = result.prepared.tagged(split["train"]).tags[:, 0] > 0
    (file,) = places[name].glob("*.npy")
    labels = np.load(file)
    assert (labels[tags] == 1).any() or name in UNSURE
    assert (labels[~tags] == 0).all()
    assert len(labels) == len(tags)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_none_fails_on_the_device(tmp_path):
    """In bfloat16, as the presets have it; the device's memory is part of what each costs."""
    on_device = {"training.precision": "bf16", "segmentation.precision": "bf16", "device": "cuda"}
    result = bench(CONFIG.changed(on_device), tmp_path)
    assert not result.failures
    costs = json.loads((result.folder / "costs.json").read_text("utf-8"))
    assert sorted(cost["method"] for cost in costs) == sorted(NAMES)
    assert all(cost["fit"]["cuda_mib"] > 0 for cost in costs)
