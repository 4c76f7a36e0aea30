"""Steps that train a network go on where they were killed, to the same maps."""

import numpy as np
import pytest

from camzoo.steps.base import steps
from tests.baselines.test_resume import Counting
from tests.harness.test_run import Killed
from tests.steps.ccam.test_steps import CONFIG, run

TWICE = CONFIG.changed({"training.epochs": 2})
#: How often those go through the slices that do not follow the classifier's recipe.
OWN = {"aff": {"epochs": 2}}


@pytest.mark.parametrize("name", sorted(steps))
def test_a_killed_step_ends_as_an_undisturbed_one(name, tmp_path):
    """Killed in the second epoch of each of its networks."""
    settings, watching = OWN.get(name, {}), Counting()
    (tmp_path / "straight").mkdir()
    (tmp_path / "killed").mkdir()
    _, expected, told = run(
        name, tmp_path / "straight", config=TWICE, reporter=watching, **settings
    )
    assert bool(watching.trained) is (name in ("aff", "cc"))
    for title, count in watching.trained.items():
        killing = Counting((title, count // 2 + 1))
        with pytest.raises(Killed, match=title):
            run(name, tmp_path / "killed", config=TWICE, reporter=killing, **settings)
    again = Counting()
    _, found, told_again = run(name, tmp_path / "killed", config=TWICE, reporter=again, **settings)
    assert again.trained == {title: count // 2 for title, count in watching.trained.items()}
    assert np.array_equal(found.maps, expected.maps)
    assert told_again == told
