"""The CAM methods of a cell, from maps to scores: a threshold sweep, a choice, distances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from camzoo.data.splits import Split
from camzoo.evaluate.choose import choose
from camzoo.evaluate.result_files import read_curves
from camzoo.harness.cells import Cell
from camzoo.harness.chains import Mapped, map_chains
from camzoo.harness.path import score_methods, sweep_thresholds
from camzoo.harness.store import Artifact
from camzoo.steps.chain import Chain


@dataclass(frozen=True)
class Scored:
    """What the methods of a cell gave.

    Attributes:
        mapped: Their maps, and why a method has none.
        curves: Counts of every case, organ and threshold, by method.
        scores: Metrics of every case at the chosen thresholds, by method.
    """

    mapped: Mapped
    curves: Mapping[str, pd.DataFrame]
    scores: Mapping[str, Artifact]


def score_cell(cell: Cell, chains: Mapping[str, Chain]) -> Scored:
    """Run methods of a cell, by their texts; one that fails is left out, with the reason."""
    rules = cell.context.config.evaluation
    mapped = map_chains(cell, chains)
    curves = {
        name: _read_curves(sweep_thresholds(cell, name, artifact), cell.split)
        for name, artifact in mapped.artifacts.items()
    }
    choices = {n: choose(frame, rules.protocols, rules.fixed) for n, frame in curves.items()}
    return Scored(mapped, curves, score_methods(cell, mapped.artifacts, choices))


def _read_curves(artifact: Artifact, split: Split) -> pd.DataFrame:
    frame = read_curves(artifact.folder)
    return frame.assign(subset=frame["case"].map(split.subset_of()))
