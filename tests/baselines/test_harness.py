"""Every baseline that is installed goes through the whole run: registered is tested."""

import json

import numpy as np
import pytest

from camzoo.harness.run import bench
from camzoo.segment.base import PseudoMaskBaseline, baselines
from camzoo.segment.selection import select_baselines
from tests.harness.test_run import TINY

NAMES = select_baselines("all")
#: Side of what the U-Net sees, and of its labels.
SIDE = 32


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """All of them on six phantoms, with a head that reads two stages as the preset quick does."""
    config = TINY.changed(
        {
            "backbone.stages": [3, 4],
            "baselines": NAMES,
            "segmentation.side": SIDE,
            "segmentation.widths": [8, 8, 8, 16, 16],
            "segmentation.epochs": 1,
        }
    )
    return bench(config, tmp_path_factory.mktemp("baselines"))


@pytest.fixture(scope="module")
def places(result):
    """Folder of what each baseline left behind, by name."""
    costs = json.loads((result.folder / "costs.json").read_text("utf-8"))
    root = result.folder.parent
    return {cost["method"]: (root / cost["predictions"]).parent for cost in costs}


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
    assert (labels[tags] == 1).any()
    assert (labels[~tags] == 0).all()
    assert len(labels) == len(tags)
