"""The worker of baselines: let one learn, and segment the test volumes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import TypeAdapter

from camzoo.core.files import write_text
from camzoo.core.randomness import seeded
from camzoo.core.stored import read_json
from camzoo.evaluate.result_files import PREDICTIONS, PSEUDO_MASKS
from camzoo.harness.baseline_inputs import BaselineInputs
from camzoo.harness.cost import CostMeter
from camzoo.learning.loop import small_memory
from camzoo.segment.base import Baseline, require_labels
from camzoo.segment.export import write_volume
from camzoo.segment.prediction import predict_volume

if TYPE_CHECKING:
    from camzoo.harness.cells import Cell

_COST: Final = "cost.json"
_COSTS: Final = TypeAdapter(dict[str, Any])


def segment_volumes(folder: Path, cell: Cell, baseline: Baseline, maps: Mapping[str, Path]) -> None:
    """Let a baseline learn and predict.

    Args:
        folder: What an interrupted attempt left may be in it.
        cell: Fold and seed.
        baseline: Constructed.
        maps: Folders of finished maps, by method.
    """
    inside, device = folder / "baseline", cell.context.device
    resumed = inside.exists()
    inside.mkdir(exist_ok=True)
    with CostMeter(device) as fitting, seeded(cell.seed, device):
        baseline.fit(BaselineInputs(cell, maps).of(baseline, inside))
    if baseline.pseudo is not None:
        require_labels(baseline.pseudo, cell.training_slices)
        np.save(folder / PSEUDO_MASKS, baseline.pseudo)
    with CostMeter(device) as predicting:
        _predict(cell, baseline, folder / PREDICTIONS)
    cost = {
        "fit": fitting.record(),
        "predict": predicting.record(),
        "images_per_second": baseline.images_per_second,
        "resumed": resumed,
        "environment": cell.context.store.environment,
        **small_memory(inside),
    }
    write_text(folder / _COST, json.dumps(cost, indent=1) + "\n")


def read_cost(folder: Path) -> dict[str, Any]:
    """What a baseline took when it was made."""
    return read_json(folder / _COST, _COSTS)


def _predict(cell: Cell, baseline: Baseline, folder: Path) -> None:
    """Write the labels of all test cases."""
    folder.mkdir(exist_ok=True)
    batch, cases = cell.context.config.segmentation.batch, cell.split.test
    with cell.context.reporter.stage(f"segmenting test volumes, {baseline.name}") as tick:
        for done, case in enumerate(cases):
            info, slices = cell.prepared.cases[case], cell.prepared.tagged([case])
            images, organs = slices.images(slice(None)), len(slices.organs)
            labels = predict_volume(baseline, images, info, organs=organs, batch=batch)
            write_volume(folder / f"{case}.nii.gz", labels, np.array(info.affine))
            tick(done + 1, len(cases))
