import subprocess
import sys

import pytest

import camzoo


@pytest.mark.parametrize("name", camzoo.__all__)
def test_every_public_name_is_there(name):
    assert getattr(camzoo, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        camzoo.nothing  # noqa: B018


def test_importing_camzoo_imports_nothing_heavy():
    script = "import sys, camzoo; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_the_core_never_imports_the_baselines():
    from tests.conftest import ROOT

    for file in (ROOT / "camzoo").rglob("*.py"):
        assert "camzoo_baselines" not in file.read_text(encoding="utf-8"), file
