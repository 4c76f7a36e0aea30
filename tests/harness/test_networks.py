"""Runs on backbones of other families, and beside methods that try to harm others."""

import numpy as np
import pytest
import torch

from camzoo.cams.base import CamMethod, cams
from camzoo.cams.map_files import MapFiles
from camzoo.core.errors import ConfigError
from camzoo.core.progress import Quiet
from camzoo.harness.run import bench
from tests.harness.test_run import TINY


class Listening(Quiet):
    """Keeps the lines it is told."""

    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)


class Harmful(CamMethod):
    """Trains the classifier away, and writes into what others read."""

    needs_fit = True

    def fit(self, context):
        torch.nn.init.zeros_(context.classifier.head.weight)
        context.slices.tags[:] = 0

    def saliency(self, view):
        view.features.zero_()
        return view.logits[:, :, None, None]


class Sly(CamMethod):
    """Writes where torch does not count."""

    def saliency(self, view):
        view.features.numpy()[...] = 0
        view.viewer.model.get_classifier().weight.data.neg_()
        return view.logits[:, :, None, None]


@pytest.fixture
def registered():
    added = {"harmful": Harmful, "sly": Sly}
    with cams.temporary(added):
        yield list(added)


def test_harmful_methods_fail_their_rows_and_no_others(registered, tmp_path):
    alone = bench(TINY.changed({"methods": ["cam", "grad-cam"]}), tmp_path / "alone")
    beside = bench(TINY.changed({"methods": [*registered, "cam", "grad-cam"]}), tmp_path / "beside")
    assert set(beside.failures) == set(registered)
    assert "it changed the classifier: " in beside.failures["harmful"]
    assert "it changed view.features" in beside.failures["sly"]
    for name in ("cam", "grad-cam"):
        right, found = (MapFiles.open(result.maps[name]).maps for result in (alone, beside))
        assert np.array_equal(right, found)
    assert alone.rows.drop(columns="run").equals(beside.rows.drop(columns="run"))


def test_a_backbone_that_keeps_its_own_stride_says_so(tmp_path):
    listening = Listening()
    config = TINY.changed(
        {"backbone.name": "ghostnet_050", "backbone.stages": [], "methods": ["grad-cam"]}
    )
    assert not bench(config, tmp_path, listening).failures
    (note,) = [line for line in listening.lines if "stride" in line]
    assert note.startswith("ghostnet_050 keeps its own stride of 32 pixels")


def test_a_backbone_of_fixed_size_is_refused_before_anything_is_read(tmp_path):
    config = TINY.changed({"backbone.name": "levit_128s", "backbone.stages": []})
    with pytest.raises(ConfigError, match=r"does not take images of 64 x 64 .*for 224 x 224"):
        bench(config, tmp_path)
    assert not list(tmp_path.rglob("prepare"))
