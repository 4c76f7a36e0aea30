"""Sums of one kind: torch is told before it is imported, and a run says so."""

import json
import subprocess
import sys

import pytest
import torch

from camzoo.core.errors import ConfigError
from camzoo.core.portable import VARIABLES, compute_portably
from tests.cli.test_app import TINY

X86 = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"), reason="no x86 with AVX2"
)


@pytest.fixture
def unset(monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # comes back when the test is over
        monkeypatch.delenv(name)


@X86
def test_a_run_is_made_with_them_and_says_so(unset, tmp_path):
    words = ["bench", "--dataset", "phantom", *TINY, "--portable", "--quiet", "--out", tmp_path]
    subprocess.run([sys.executable, "-m", "camzoo", *map(str, words)], check=True)
    (run,) = tmp_path.glob("phantom-*")
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["environment"]["instructions"] == "AVX2, oneDNN at most AVX2"
    assert manifest["precision"]["training"]["used"] == "fp32"


@X86
def test_torch_has_chosen_once_it_is_imported(unset, monkeypatch):
    with pytest.raises(ConfigError, match=r"before this program starts: ATEN_CPU_CAPABILITY=avx2"):
        compute_portably()
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value.lower())
    compute_portably()


def test_they_are_set_for_what_is_started_later(unset, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.delitem(sys.modules, "torch")
    compute_portably()
    code = "import os, sys; print([os.environ[name] for name in sys.argv[1:]])"
    done = subprocess.run(
        [sys.executable, "-c", code, *VARIABLES], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(list(VARIABLES.values()))


def test_another_family_of_processors(unset, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(ConfigError, match="x86 processors, and this one is aarch64"):
        compute_portably()
