"""Shared by all tests."""

import os

# Workers that each take every core wait for one another more than they compute. Set before torch is
# imported, and inherited by the processes that tests start.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _shared(variable: str, folder: str) -> Path:
    path = Path(os.environ.get(variable, ROOT.parent / "shared" / folder))
    if not path.is_dir():
        pytest.skip(
            f"no real cases: {variable} is not set and {path.name}/ is not beside the project"
        )
    return path


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with ACDC/, CHAOS/ and PROMISE12/ in their official layouts."""
    return _shared("CAMZOO_DATA", "data")


@pytest.fixture(scope="session")
def real_weights() -> Path:
    """Folder with the MobileNetV2 ImageNet weights."""
    return _shared("CAMZOO_WEIGHTS", "weights") / "mobilenetv2_100_imagenet_fp16.safetensors"
