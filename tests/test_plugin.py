"""The package of docs/plugins.md, installed as its reader would install it, without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from camzoo.registries import cams

EXAMPLE = Path(__file__).parent.parent / "docs" / "example_plugin"


def run(code, *arguments, path):
    environment = os.environ | {"PYTHONPATH": str(path)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env=environment, check=False
    )


CAMZOO = "import sys; from camzoo.cli.app import main; main()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the example, built and installed by pip."""
    folder = tmp_path_factory.mktemp("plugin")
    source, target = folder / "source", folder / "target"
    shutil.copytree(EXAMPLE, source)
    options = "--quiet --no-index --no-deps --no-build-isolation --disable-pip-version-check"
    pip = [sys.executable, "-m", "pip", "install", *options.split(), "--target", str(target)]
    result = subprocess.run(
        [*pip, str(source)], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert result.returncode == 0, result.stderr
    return target


def test_without_the_package_the_method_is_unknown():
    assert cams.names("sign*") == []


def test_the_program_finds_the_method(installed):
    result = run(CAMZOO, "list", "cams", "sign*", path=installed)
    assert result.returncode == 0, result.stderr
    assert "sign-cam" in result.stdout


def test_the_method_conforms(installed):
    result = run(CAMZOO, "check", "sign-cam", path=installed)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "13 of 13 checks passed" in result.stdout


def test_the_method_computes(installed):
    """Sign-CAM of y = 3 mean A_0 - 2 mean A_1 is A_0 - A_1."""
    code = """
import torch
from camzoo.cams.compute import compute_cams
from tests.cams.networks import GivenFeatures
images = torch.tensor([[[[1.0, 5.0]], [[2.0, 4.0]]]])
print(compute_cams(GivenFeatures([[3.0, -2.0]]), images, "sign-cam")["sign-cam"].tolist())
"""
    path = os.pathsep.join([str(installed), str(EXAMPLE.parent.parent)])
    result = run(code, path=path)
    assert result.stdout.strip() == "[[[[-1.0, 1.0]]]]", result.stderr
