import pytest

from camzoo.core.progress import Quiet
from camzoo.harness.run import bench
from tests.harness.test_run import TINY


@pytest.fixture(scope="package")
def run(tmp_path_factory):
    """Folder of a finished run with maps, a baseline of pseudo-masks and one without."""
    settings = {
        "methods": ["cam", "centre"], "baselines": ["affinitynet", "sizeloss"],
        "training.epochs": 1, "evaluation.protocols": ["validated", "otsu"],
        "segmentation.side": 32, "segmentation.widths": [8, 8, 8, 16, 16],
        "segmentation.epochs": 1,
    }  # fmt: skip
    return bench(TINY.changed(settings), tmp_path_factory.mktemp("runs"), Quiet()).folder
