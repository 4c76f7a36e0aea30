"""The worker of the maps of CAM methods, all in one pass over the slices."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from camzoo.cams.base import FitContext
from camzoo.cams.map_files import MapFiles
from camzoo.cams.pipeline import make_maps
from camzoo.cams.view.model_seal import ModelSeal
from camzoo.core.spec import Spec
from camzoo.harness.guarded import Guarded
from camzoo.registries import cams

if TYPE_CHECKING:
    from camzoo.harness.cells import Cell


def make_method_maps(
    cell: Cell, methods: Mapping[str, Spec], folders: Mapping[str, Path]
) -> dict[str, str]:
    """Fill a folder per method with its maps of all slices.

    Returns:
        Why methods failed, by method; empty text where one did not.
    """
    context, config, slices = cell.context, cell.context.config, cell.slices
    classifier = cell.trained.classifier
    seal = ModelSeal(classifier)
    guarded = {
        name: Guarded(
            cams.get(method.name), context.store.root, cell.seed, seal, dict(method.settings)
        )
        for name, method in methods.items()
    }
    for name, method in guarded.items():
        with _learning(cell, methods[name]):
            method.fit(_fitting(cell))
    shape = len(slices), len(slices.organs), config.maps.size
    files = {name: MapFiles.create(folder, *shape) for name, folder in folders.items()}
    with context.reporter.stage(f"maps, {cell.place}: {', '.join(folders)}") as tick:
        make_maps(
            classifier,
            guarded,
            slices,
            config.maps,
            files,
            layer=config.backbone.layer,
            precision=config.training.precision,
            seal=seal,
            blame=lambda name, changed: guarded[name].blame(changed),
            tick=tick,
        )
    for arrays in files.values():
        arrays.flush()
    return {name: method.failure for name, method in guarded.items()}


def _learning(cell: Cell, method: Spec) -> AbstractContextManager[object]:
    """A stage for methods that learn; the others are only constructed."""
    if cams.get(method.name).needs_fit:
        return cell.context.reporter.stage(f"{method} learns")
    return nullcontext()


def _fitting(cell: Cell) -> FitContext:
    """What one method learns from: slices and a generator of its own, whatever else is fitted."""
    config = cell.context.config
    return FitContext(
        classifier=cell.trained.classifier,
        slices=cell.training_slices,
        generator=torch.Generator().manual_seed(cell.seed),
        device=cell.context.device,
        layer=config.backbone.layer,
        side=config.maps.side,
    )
