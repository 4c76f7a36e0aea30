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


@pytest.mark.parametrize("other", [(), ((1, 0, "a", None),)])
def test_a_cell_that_lacks_a_candidate_is_refused(other):
    some = scores((0, 0, "a", 60.0), (0, 0, "b", 50.0), (1, 0, "b", 90.0), *other)
    with pytest.raises(ConfigError, match="fold 1, seed 0 has not all of the 2 settings"):
        choose_by_cell(some, ["variant"])


def test_the_first_of_equals_is_taken():
    found = choose_by_cell(scores((0, 0, "a", 60.0), (0, 0, "b", 60.0)), ["variant"])
    assert found["chosen"].tolist() == [True, False]
