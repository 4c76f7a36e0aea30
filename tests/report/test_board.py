"""Which lines a page calls controls."""

import subprocess
import sys

import pytest

from camzoo.report.board import is_control
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("name", "control"),
    [
        ("centre", True), ("random", True), ("otsu", True), ("prior-only", True),
        ("prior-only map=B oracle-prior", True), ("cam", False), ("cam = grad-cam", False),
        ("c-cam[ac] tau=0.25", False), ("positives-only", False), ("bes", False),
        ("nobody-has-it", False),
    ],
)  # fmt: skip
def test_controls_are_what_asks_the_classifier_nothing(name, control):
    assert is_control(name) is control


def test_asking_imports_no_network():
    """Pages of records ask for every line; torch alone would take seconds."""
    script = """
import sys
from camzoo.report.board import is_control
from tests.conftest import ROOT
names = ("positives-only", "prior-only", "c-cam[ac] tau=0.25", "bes", "random", "nobody-has-it")
print([is_control(name) for name in names], "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout == "[False, True, False, False, True, False] False\n"
