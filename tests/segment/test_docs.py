"""The page on baselines: its example works as it stands."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np

from camzoo.registries import baselines
from camzoo.segment.learning_context import BaselineContext
from tests.segment.toy import toy_context

PAGE = (Path(__file__).parents[2] / "docs" / "baselines.md").read_text(encoding="utf-8")


def test_the_example_is_a_baseline(tmp_path):
    with baselines.temporary():
        exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], {"__name__": "example"})
        mine = baselines.get("mine")()
    context = toy_context(tmp_path, reads=("cam",))
    mine.fit(context)
    assert np.array_equal(mine.pseudo.any((1, 2)), context.train.tags.any(1))


def test_what_a_context_offers_is_on_the_page():
    table = PAGE.partition("what a context offers")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)(?:\(\w*\))?`", table))
    assert {field.name for field in fields(BaselineContext)} <= named
