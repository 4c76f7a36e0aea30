"""What all cells of a run share, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from camzoo.config import BenchConfig
from camzoo.core.progress import Reporter
from camzoo.core.spec import Spec
from camzoo.harness.store import Store
from camzoo.network.precision import Precisions
from camzoo.segment.selection import parse_baseline
from camzoo.steps.chain import Chain, parse_chain


@dataclass(frozen=True)
class Context:
    """What all stages of a run share.

    Attributes:
        config: Configuration of the run; its precisions become those that the device computes in,
            so that no key of a result holds "auto".
        store: Where results go.
        device: Where to compute.
        reporter: Who is told.
    """

    config: BenchConfig
    store: Store
    device: torch.device
    reporter: Reporter

    def __post_init__(self) -> None:
        settled = Precisions.of(self.config, self.device).settle(self.config)
        object.__setattr__(self, "config", settled)

    @cached_property
    def chains(self) -> dict[str, Chain]:
        """The methods of the run, parsed, by their texts."""
        return {text: parse_chain(text) for text in self.config.methods}

    @cached_property
    def baselines(self) -> dict[str, Spec]:
        """The baselines of the run, parsed, by their texts."""
        return {text: parse_baseline(text) for text in self.config.baselines}


@dataclass(frozen=True)
class Place:
    """Where a cell stands in a run.

    Attributes:
        fold: Fold of the split.
        seed: Seed of training.
    """

    fold: int
    seed: int

    def __str__(self) -> str:
        return f"fold {self.fold}, seed {self.seed}"


def places(config: BenchConfig) -> list[Place]:
    """List where the cells of a run stand, folds first."""
    return [Place(fold, seed) for fold in config.data.folds for seed in config.seeds]
