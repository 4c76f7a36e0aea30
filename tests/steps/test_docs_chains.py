"""The page on chains: its example works, and what it names exists."""

import re
from pathlib import Path

import pytest

from camzoo.registries import steps
from camzoo.steps.chain import NAMED, parse_chain
from camzoo.steps.selection import select_methods

PAGE = (Path(__file__).parents[2] / "docs" / "ccam.md").read_text(encoding="utf-8")


def test_the_example_is_a_step():
    with steps.temporary():
        exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], {"__name__": "example"})
        assert parse_chain("cam[sharpen]:power=3").variant == "power=3"


@pytest.mark.parametrize("text", re.findall(r"--methods \"?([^\"\s]+)", PAGE))
def test_commands_name_methods_that_exist(text):
    assert select_methods(text)


def test_every_step_and_name_is_on_the_page():
    for name in [*steps, *NAMED]:
        assert f"`{name}`" in PAGE
