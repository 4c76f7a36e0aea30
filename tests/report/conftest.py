"""A run of the smallest phantom with four organs, its store beside it, and its report."""

import pytest

from camzoo.core.progress import Quiet
from camzoo.harness.run import bench
from camzoo.report.folder import write_report
from tests.harness.test_run import TINY

METHODS = ["cam", "grad-cam++", "centre"]


@pytest.fixture(scope="package")
def finished(tmp_path_factory):
    options = {"variant": "abdomen", "patients": 12, "size": 64}
    settings = {"data.options": options, "methods": METHODS, "training.epochs": 1}
    config = TINY.changed(settings)
    return bench(config, tmp_path_factory.mktemp("runs"), Quiet())


@pytest.fixture(scope="package")
def crossed(tmp_path_factory):
    """A run of two folds and two seeds, with its store beside it."""
    settings = {"data.k_folds": 3, "data.folds": [0, 1], "seeds": [0, 1]}
    config = TINY.changed(settings | {"methods": ["cam", "centre"], "training.epochs": 1})
    return bench(config, tmp_path_factory.mktemp("crossed"), Quiet())


@pytest.fixture(scope="package")
def report(finished, tmp_path_factory):
    """Folder of the report of :func:`finished`."""
    return write_report([finished.folder], tmp_path_factory.mktemp("report") / "r").parent
