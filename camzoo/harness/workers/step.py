"""The worker of the steps of chains."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from camzoo.cams.map_files import MapFiles
from camzoo.core.files import write_text
from camzoo.core.stored import read_json
from camzoo.data.slices import labels_on_grid
from camzoo.harness.cost import CostMeter
from camzoo.steps.base import MapStep, StepContext

if TYPE_CHECKING:
    from camzoo.core.spec import Spec
    from camzoo.harness.cells import Cell

_REPORT: Final = "report.json"
_REPORTED: Final = TypeAdapter(dict[str, Any])


def run_step(
    folder: Path, cell: Cell, step: MapStep, *, name: str, method: Spec, base: Path, source: Path
) -> None:
    """Fill a folder with the maps behind a step.

    Args:
        folder: What an interrupted attempt left may be in it.
        cell: Fold and seed.
        step: Constructed.
        name: Name of the step, in its registry.
        method: Method at the head of the chain.
        base: Folder of its maps.
        source: Folder of the maps that come in.
    """
    resumed = any(folder.iterdir())
    came = MapFiles.open(source)
    out = MapFiles.create(folder, *came.maps.shape[:3])
    slices, config = cell.slices, cell.context.config
    context = StepContext(
        slices=slices,
        train=np.flatnonzero(np.isin(slices.rows, cell.training_slices.rows)),
        method=method,
        base=MapFiles.open(base),
        classifier=cell.trained.classifier,
        backbone=config.backbone,
        training=config.training,
        pipeline=config.maps,
        seed=cell.seed,
        device=cell.context.device,
        folder=folder,
        reporter=cell.context.reporter,
        reference=_reference(cell, step, name),
    )
    with CostMeter(cell.context.device) as meter:
        report = step.apply(came, context, out)
    out.flush()
    told = {
        "notes": report.notes,
        "facts": dict(report.facts),
        "cost": {**meter.record(), "resumed": resumed},
    }
    write_text(folder / _REPORT, json.dumps(told, indent=1) + "\n")


def read_report(folder: Path) -> dict[str, Any]:
    """What a step left beside its maps; nothing for a method without steps."""
    path = folder / _REPORT
    return read_json(path, _REPORTED) if path.exists() else {}


def _reference(cell: Cell, step: MapStep, name: str) -> Callable[[int], NDArray[np.uint8]]:
    def labels(side: int) -> NDArray[np.uint8]:
        train = set(cell.split.train)
        cases = [case for case in cell.prepared.cases if case in train]
        masks = cell.prepared.vault.for_training(step.supervision, cases, who=f"the step {name!r}")
        return labels_on_grid(masks, cases, side)

    return labels
