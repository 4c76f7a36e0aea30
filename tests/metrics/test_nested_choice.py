"""Which settings folds and seeds choose, by hand."""

import pandas as pd
import pytest

from camzoo.core.errors import ConfigError
from camzoo.metrics.nested_choice import choose_by_cell


def scores(*lines):
    return pd.DataFrame(lines, columns=["fold", "seed", "variant", "score"])


def test_each_cell_chooses_for_itself():
    found = choose_by_cell(
        scores((0, 0, "a", 60.0), (0, 0, "b", 70.0), (1, 0, "a", 62.0), (1, 0, "b", 61.0)),
        ["variant"],
    )
    assert found[found["chosen"]][["fold", "variant"]].to_numpy().tolist() == [[0, "b"], [1, "a"]]
    assert found["chosen"].sum() == 2


def test_a_cell_that_lacks_a_candidate_is_left_out():
    found = choose_by_cell(
        scores((0, 0, "a", 60.0), (0, 0, "b", 50.0), (0, 1, "b", 90.0), (1, 0, "a", None),
               (1, 0, "b", 90.0)),
        ["variant"],
    )  # fmt: skip
    assert found[["fold", "seed", "variant", "chosen"]].to_numpy().tolist() == [
        [0, 0, "a", True],
        [0, 0, "b", False],
    ]


def test_the_first_of_equals_is_taken():
    found = choose_by_cell(scores((0, 0, "a", 60.0), (0, 0, "b", 60.0)), ["variant"])
    assert found["chosen"].tolist() == [True, False]


def test_where_no_cell_has_all_it_is_said():
    with pytest.raises(ConfigError, match="no fold and seed has all of them"):
        choose_by_cell(scores((0, 0, "a", 60.0), (1, 0, "b", 60.0)), ["variant"])
