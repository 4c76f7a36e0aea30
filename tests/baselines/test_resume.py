"""Baselines with networks of their own go on where they were killed, to the same end."""

from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from camzoo.core.progress import Quiet
from camzoo.registries import baselines
from tests.baselines.tiny import RECIPE, tiny_context
from tests.harness.test_run import Killed

BOUNDS = {"bright": (0, 6000), "dark": (0, 6000)}
#: Each with what keeps it short, and how many networks it trains besides the last U-Net.
OWN = {
    "affinitynet": ({"epochs": 2, "batch": 4, "exp_times": 2}, 1),
    "ame-cam": ({}, 2),
    "bes": ({"epochs": 2}, 2),
    "conta": ({"grid": 16}, 2),
    "dsrg": ({}, 1),
    "ficklenet": ({"draws": 9}, 1),
    "issoc-style": ({"bounds": BOUNDS}, 1),
    "mcis": ({}, 1),
    "mctformer": ({"backbone": "test_vit", "layers": 6}, 1),
    "mdc": ({"width": 8}, 1),
    "p-cam-twice": ({}, 1),
    "recam": ({}, 1),
    "seam": ({}, 1),
    "sec": ({}, 0),
}


class Counting(Quiet):
    """Counts the ticks of every stage; at one of them it ends the process."""

    def __init__(self, last=None):
        self.ticks = Counter()
        self._last = last

    @contextmanager
    def stage(self, title):
        def tick(_done, _total):
            self.ticks[title] += 1
            if (title, self.ticks[title]) == self._last:
                raise Killed(title)

        yield tick

    @property
    def trained(self):
        """Steps of every network that was trained, in order."""
        return {title: n for title, n in self.ticks.items() if "training " in title}


def fitted(name, folder, reporter):
    """A baseline that has learnt in a new context, and the maps it judged; two epochs of all."""
    recipe = RECIPE.model_copy(update={"epochs": 2, "batch": 4})
    context, judged = tiny_context(folder, recipe, epochs=2)
    object.__setattr__(context, "reporter", reporter)
    baseline = baselines.get(name)(**OWN[name][0])
    baseline.fit(context)
    return baseline, judged


@pytest.mark.parametrize("name", OWN)
def test_a_killed_baseline_ends_as_an_undisturbed_one(name, tmp_path):
    """Killed in the second epoch of each of its networks, one after the other."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    watching, again = Counting(), Counting()
    undisturbed, judged = fitted(name, straight, watching)
    assert len(watching.trained) == OWN[name][1] + 1
    for title, steps in watching.trained.items():
        with pytest.raises(Killed, match=title):
            fitted(name, killed, Counting((title, steps // 2 + 1)))
    resumed, judged_again = fitted(name, killed, again)
    unet = "training unet, seed 0"
    assert again.trained == {unet: watching.trained[unet] // 2}  # nothing is trained twice
    assert len(judged) == len(judged_again)
    assert all(map(torch.equal, judged, judged_again))  # labels may forgive what maps do not
    assert np.array_equal(resumed.pseudo, undisturbed.pseudo)
    weights, others = (load_file(folder / "unet.safetensors") for folder in (straight, killed))
    assert weights.keys() == others.keys()
    for key, value in weights.items():
        assert value.equal(others[key]), key
