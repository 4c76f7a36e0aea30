"""The cells of a run: one per fold and seed."""

from __future__ import annotations

from dataclasses import dataclass

from camzoo.config import BenchConfig


@dataclass(frozen=True)
class Cell:
    """Everything that is trained once and shared by all methods.

    Attributes:
        fold: Of the split.
        seed: Of training.
    """

    fold: int
    seed: int


def cells(config: BenchConfig) -> list[Cell]:
    """List the cells of a run, folds first."""
    return [Cell(fold, seed) for fold in config.data.folds for seed in config.seeds]
