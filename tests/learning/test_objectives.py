import numpy as np
import pytest
import torch
from torch import nn

from camzoo.config import TrainingConfig
from camzoo.data.labels import UNKNOWN
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import minimise
from camzoo.learning.objectives import LabelLoss
from camzoo.learning.recipe import sgd
from camzoo.network.backbone import Trainable
from tests.toy import toy_slices

RECIPE = TrainingConfig(
    epochs=3, batch=4, crop=32, resize=(32, 32), lr=0.5, head_factor=1.0, precision="fp32"
)


class Scale(Trainable):
    """One number times the grey of every other pixel."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, grey):
        return self.factor * grey[:, ::2, ::2]

    @property
    def fresh(self):
        return [self.factor]


def squared(output, labels, _tags):
    known = labels != UNKNOWN
    return ((output - labels) ** 2 * known).sum() / known.sum()


def objective(labels, flip="never"):
    config = RECIPE.model_copy(update={"flip": flip})
    return LabelLoss(Scale(), labels, Augmentation.of(config, sided=False), "fp32", 16, squared)


def test_labels_go_through_the_views_of_their_slices():
    """Grey of left and right half is their label: any flip leaves a loss of zero."""
    images = torch.zeros(6, 32, 32)
    images[:, :, 16:] = 1
    labels = np.zeros((8, 16, 16), np.uint8)
    labels[2:, :, 8:] = 1
    labels[:2] = 7  # of slices that are not asked for
    labels[3, 0] = UNKNOWN
    generator = torch.Generator().manual_seed(0)
    indices = np.arange(2, 8)
    loss, logits = objective(labels, "always")(images, indices, torch.ones(6, 1), generator)
    assert logits is None
    assert loss.item() == pytest.approx(0, abs=1e-9)
    labels[2:] = np.where(labels[2:] == UNKNOWN, UNKNOWN, 1 - labels[2:])
    loss, _ = objective(labels, "always")(images, indices, torch.ones(6, 1), generator)
    assert loss.item() == pytest.approx(1)


def test_what_lies_outside_the_slice_is_unknown():
    seen = []
    labels = np.full((4, 8, 8), 3, np.uint8)
    loss = LabelLoss(
        Scale(), labels, Augmentation(32, (16, 16)), "fp32", 16,
        lambda output, target, _tags: seen.append(target) or output.sum(),
    )  # fmt: skip
    loss(torch.ones(4, 32, 32), np.arange(4), torch.ones(4, 1), torch.Generator().manual_seed(0))
    assert set(seen[0].unique().tolist()) == {3, UNKNOWN}
    assert (seen[0] == 3).float().mean().item() == pytest.approx(0.25, abs=0.08)


def test_the_common_loop_minimises_it_and_goes_on_from_its_checkpoint(tmp_path):
    slices = toy_slices(8)
    labels = np.full((8, 16, 16), 2, np.uint8)

    def run(name, epochs):
        loss, recipe = objective(labels), sgd(RECIPE.model_copy(update={"epochs": epochs}))
        history = minimise(
            loss, loss.network, slices, recipe,
            seed=0, device=torch.device("cpu"), checkpoint=tmp_path / name,
        ).epochs  # fmt: skip
        return loss.network.factor.item(), history

    factor, history = run("a", 3)
    assert history[-1].loss < 0.5 * history[0].loss
    assert history[0].accuracy == ()
    assert run("a", 3) == (factor, history)  # nothing is left to do
