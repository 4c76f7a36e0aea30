import pytest

from camzoo.harness.run import bench
from tests.harness.test_run import TINY


@pytest.fixture(scope="session")
def benched(tmp_path_factory):
    """Put a baseline through the harness on a few phantoms: its result and its rows.

    All runs have one folder, so that the classifier is trained once.
    """
    folder = tmp_path_factory.mktemp("baselines")
    settings = {
        "segmentation.side": 32,
        "segmentation.widths": [8, 8, 8, 16, 16],
        "segmentation.epochs": 1,
    }

    def run(name):
        result = bench(TINY.changed({**settings, "baselines": [name]}), folder)
        return result, result.rows[result.rows["method"] == name]

    return run
