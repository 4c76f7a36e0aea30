"""A cell of a finished run, opened from its store: the network that was trained, and no other."""

import hashlib

import pytest
import timm
import torch
from safetensors.torch import save_file

from camzoo.core.errors import ConfigError
from camzoo.core.progress import Quiet
from camzoo.harness.manifest import read_manifest
from camzoo.harness.restored import restore_cell
from camzoo.harness.run import bench
from camzoo.harness.store import Artifact
from camzoo.harness.workers.train import read_classifier
from tests.harness.test_run import TINY


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A run that started from a file of weights, and that file."""
    file = tmp_path_factory.mktemp("weights") / "start.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), file)
    settings = {
        "backbone.weights": str(file), "training.epochs": 1, "methods": ["centre"],
        "evaluation.protocols": ["validated"],
    }  # fmt: skip
    return bench(TINY.changed(settings), tmp_path_factory.mktemp("runs"), Quiet()), file


def restored(started, weights):
    manifest = read_manifest(started[0].folder)
    return restore_cell(
        started[0].folder, manifest, manifest["cells"][0], started[0].prepared,
        weights=weights, device="cpu", reporter=Quiet(),
    )  # fmt: skip


def test_it_is_the_network_that_was_trained(started):
    run, file = started
    cell = restored(started, file)
    manifest = read_manifest(run.folder)
    folder = run.folder.parent / "store" / "train" / manifest["cells"][0]["classifier"]
    config = TINY.changed({"backbone.weights": str(file)}).backbone
    trained, history = read_classifier(folder, config, 1, seed=0)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(cell.trained.classifier(images), trained(images))
    assert cell.trained.history == history
    assert cell.trained.artifact == Artifact(folder, folder.name)
    assert (cell.place.fold, cell.seed) == (0, 0)
    assert list(cell.split.test) == manifest["splits"]["0"]["test"]
    assert cell.context.config.maps == TINY.maps


def test_the_file_it_started_from_is_asked_for(started, tmp_path):
    file = started[1]
    with pytest.raises(ConfigError, match=r"from the weights start.safetensors.* --weights"):
        restored(started, None)
    with pytest.raises(ConfigError, match=r"no weights at .*gone; give the file start"):
        restored(started, tmp_path / "gone")
    other = tmp_path / "start.safetensors"
    other.write_bytes(file.read_bytes()[:-1] + b"x")
    assert hashlib.sha256(other.read_bytes()).digest() != hashlib.sha256(file.read_bytes()).digest()
    with pytest.raises(ConfigError, match=r"holds other weights than start\.safetensors"):
        restored(started, other)
