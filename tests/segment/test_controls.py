import numpy as np
import pytest

from camzoo.harness.run import bench
from tests.harness.test_segmentation import TINY


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    config = TINY.changed({"baselines": ["random", "centre"]})
    return bench(config, tmp_path_factory.mktemp("controls"))


def test_controls_are_weakly_supervised_and_random_seeds_score_near_nothing(done):
    rows = done.rows[(done.rows["stage"] == "segmentation") & (done.rows["region"] == "whole")]
    assert set(rows["supervision"]) == {"image"}
    dsc = rows.groupby("method")["dsc"].mean()
    assert set(dsc.index) == {"random", "centre"}
    assert dsc["random"] < 0.25  # an organ fills less than a tenth of the volume


def test_the_centre_is_labelled_alike_in_all_slices_with_an_organ(done):
    (folder,) = [
        path.parent
        for path in (done.folder.parent / "store" / "segment").glob("*/key.json")
        if '"baseline": "centre"' in path.read_text(encoding="utf-8")
    ]
    labels = np.load(folder / "pseudo-masks.npy")
    shown = labels[labels.any(axis=(1, 2))]
    assert 0 < len(shown) < len(labels)
    assert (shown == shown[0]).all()
    assert shown[0, 32, 32] == 1
    assert shown[0, 0, 0] == 0
