"""The kit finds what is wrong with a baseline, and nothing with one that is right."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from camzoo.conformance.baselines import check_baseline
from camzoo.segment.base import Baseline


class Bright(Baseline):
    """What is bright is the first organ: nothing is learnt, so that runs take seconds."""

    title, paper, cost = "Bright", "nobody", "nothing"

    def fit(self, context):
        self.organs = len(context.train.organs)
        with context.reporter.stage("looking") as tick:
            for step in range(4):
                self.step(context, step)
                tick(step + 1, 4)

    def step(self, context, step):
        pass

    def predict(self, images):
        organ = (images > 128).long()
        return F.one_hot(organ, self.organs + 1).movedim(-1, 1).float()


class Unseeded(Bright):
    def predict(self, images):
        noise = torch.from_numpy(np.random.default_rng().random(images.shape)) > 0.5
        return F.one_hot(noise.long(), self.organs + 1).movedim(-1, 1).float()


class Forgetful(Bright):
    """Counts on a file that an interrupted run has written, too."""

    def step(self, context, step):
        file = context.folder / "steps"
        file.write_text((file.read_text("utf-8") if file.exists() else "") + "x")
        self.steps = len(file.read_text("utf-8"))

    def predict(self, images):
        return super().predict(images if self.steps == 4 else 255 - images)


class OneOrgan(Bright):
    def predict(self, images):
        return super().predict(images)[:, :2]


class Silent(Bright):
    title = ""

    def __init__(self, size):
        self.size = size


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One classifier for all of them."""
    return tmp_path_factory.mktemp("check")


@pytest.mark.parametrize(
    ("kind", "broken", "why"),
    [
        (Bright, [], ""),
        (Unseeded, ["the same twice", "the same after an interruption"], "two runs differ"),
        (Forgetful, ["the same after an interruption"], "context.folder must hold all"),
        (OneOrgan, ["four organs, two of them with a side"], "5"),
        (
            Silent,
            [
                "title, paper, cost and supervision", "constructed without arguments", "one organ",
                "the same twice", "the same after an interruption",
                "four organs, two of them with a side",
            ],
            "title is empty",
        ),
    ],
)  # fmt: skip
def test_it_finds_what_is_wrong_and_nothing_else(kind, broken, why, folder):
    results = check_baseline(kind, folder)
    failed = {result.name: result.message for result in results if not result.passed}
    assert list(failed) == broken
    assert why in " ".join(failed.values())
