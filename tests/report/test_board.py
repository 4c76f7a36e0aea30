"""Which lines a page calls controls."""

import pytest

from camzoo.report.board import is_control


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
