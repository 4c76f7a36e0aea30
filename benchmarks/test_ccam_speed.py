"""A training step of C-CAM beside one of P-CAM: the price of the context."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.results import machine, table, write_section
from benchmarks.timing import interleaved, milliseconds, ratio
from camzoo.config import BackboneConfig
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.objectives import TagLoss
from camzoo.network.backbone import build_classifier
from camzoo.network.precision import choose_precision
from camzoo.steps.ccam.category import CategoryAttention
from camzoo.steps.ccam.causal import CausalClassifier, CausalLoss

#: How much longer a step of C-CAM may take.
TARGET = 1.15
BATCH, SIDE, ROUNDS = 16, 256, 5
PRECISION = choose_precision("auto", torch.device("cpu")).used
VIEWS = Augmentation(SIDE, (205, 384), rotate=5, jitter=0.15, flip=True)
BACKBONES = {
    "mobilenetv2_100, stages 4 and 5": BackboneConfig(
        name="mobilenetv2_100", weights="none", stages=(4, 5), frozen=4
    ),
    "resnet50": BackboneConfig(name="resnet50", weights="none", frozen=3),
}
#: Name to grid and dimensions of Phi and Theta.
GRIDS = {"grid 64, d 16": (64, 16), "faithful: grid 512, d 1": (512, 1)}


@dataclass
class Step:
    """One step of an objective: forward, backward, update."""

    objective: Any
    parameters: list[torch.nn.Parameter]
    images: torch.Tensor
    tags: torch.Tensor

    def __post_init__(self):
        self.optimiser = torch.optim.SGD(self.parameters, lr=1e-3)

    def __call__(self):
        generator = torch.Generator().manual_seed(0)
        loss, _ = self.objective(self.images, np.arange(BATCH), self.tags, generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()


def trained(network):
    return [p for p in network.train().parameters() if p.requires_grad]


def steps(backbone, classes):
    images, tags = torch.rand(BATCH, SIDE, SIDE), torch.ones(BATCH, classes)
    plain = build_classifier(backbone, classes, seed=0)
    found = {"P-CAM": Step(TagLoss(plain, VIEWS, "auto"), trained(plain), images, tags)}
    for name, (grid, dim) in GRIDS.items():
        causal = CausalClassifier(copy.deepcopy(plain), CategoryAttention(grid, dim, 0), 0)
        coarse = torch.randint(0, classes + 1, (BATCH, grid, grid), dtype=torch.uint8)
        context = torch.rand(classes, grid, grid)
        loss = CausalLoss(causal, coarse, context, True, VIEWS, "auto")
        found[name] = Step(loss, trained(causal), images, tags)
    return found


@pytest.fixture(scope="module")
def rows():
    found = []
    yield found
    if found:
        text = (
            f"{machine('camzoo', 'torch', 'timm')}. Batch {BATCH} of {SIDE} x {SIDE}, {PRECISION}, "
            f"augmentation included, CPU time, median (quartiles) of {ROUNDS} rounds in turn. "
            f"Target: at most {TARGET} x."
        )
        write_section("C-CAM: a training step beside P-CAM's", f"{text}\n\n{table(found)}")


@pytest.mark.parametrize(
    ("name", "classes"), [(name, classes) for name in BACKBONES for classes in (1, 4)]
)
def test_a_step_of_c_cam_costs_little_more(benchmark, rows, name, classes):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = interleaved(steps(BACKBONES[name], classes), ROUNDS)
    finally:
        torch.set_num_threads(threads)
    benchmark.pedantic(lambda: None, rounds=1)
    for grid in GRIDS:
        rows.append(
            {
                "backbone": name, "classes": classes, "C-CAM": grid,
                "P-CAM (ms)": milliseconds(times["P-CAM"]), "C-CAM (ms)": milliseconds(times[grid]),
                "ratio": ratio(times[grid], times["P-CAM"]),
            }
        )  # fmt: skip
    default = np.median(times["grid 64, d 16"] / times["P-CAM"])
    assert default <= TARGET
