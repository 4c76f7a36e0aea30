"""The main job: every cell of a configuration, from volumes to result rows."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from camzoo.cams.equivalence import equivalent
from camzoo.cams.pipeline import MULTIPLE
from camzoo.cams.view.viewer import Viewer
from camzoo.config import BenchConfig
from camzoo.core.checksums import write_sums
from camzoo.core.environment import use_threads
from camzoo.core.errors import CamzooError
from camzoo.core.files import storing, write_text
from camzoo.core.progress import Quiet, Reporter
from camzoo.core.stored import write_frame
from camzoo.data.datasets import Dataset
from camzoo.data.plane import describe_slices, mixed_planes
from camzoo.data.slices import Prepared
from camzoo.evaluate.result_files import CURVES
from camzoo.evaluate.row_checks import require_sound
from camzoo.evaluate.rows import ROWS, line_name, line_names, make_rows, write_rows
from camzoo.harness.cell_rows import CellRows, maps_by_line, rows_of_cell
from camzoo.harness.cells import Cell
from camzoo.harness.context import Context, Place, places
from camzoo.harness.identity import Identity, identify
from camzoo.harness.manifest import MANIFEST, SCHEMA
from camzoo.harness.naming import public_name
from camzoo.harness.opened import OpenRun, open_context, open_run
from camzoo.harness.path import open_cell, prepare_slices
from camzoo.harness.segmentation import write_costs
from camzoo.harness.superseded import set_aside
from camzoo.harness.tasks import Done, Performed, settled, tasks_of
from camzoo.network.precision import Precisions

if TYPE_CHECKING:
    from camzoo.harness.executors.base import Executor


@dataclass(frozen=True, repr=False)
class BenchResult:
    """What a run gave.

    Attributes:
        rows: Result rows (:mod:`camzoo.evaluate.rows`).
        curves: Counts of every method, case, organ and threshold.
        folder: Where rows, curves, costs and manifest were written.
        failures: Why a method or baseline has no rows, by name.
        prepared: Slices, tags and masks of the data set.
        maps: Folder of the maps of the first cell, by method and variant as tables call them.
        made: Number of results that were computed, by stage.
        found: Number of results that were in the store, by stage.
    """

    rows: pd.DataFrame
    curves: pd.DataFrame
    folder: Path
    failures: Mapping[str, str]
    prepared: Prepared
    maps: Mapping[str, Path]
    made: Mapping[str, int]
    found: Mapping[str, int]

    def __repr__(self) -> str:
        """Say what was run, what failed, and where it is."""
        named = ", ".join(line_names(self.rows).drop_duplicates())
        return "\n".join([
            f"BenchResult {self.folder.name}: {len(self.rows)} rows",
            f"  lines: {named}",
            *(f"  {name} failed: {why}" for name, why in self.failures.items()),
            f"  folder: {self.folder}",
        ])  # fmt: skip


def bench(
    config: BenchConfig,
    out: Path = Path("runs"),
    reporter: Reporter | None = None,
    executor: Executor | None = None,
    done: Mapping[str, Done] | None = None,
) -> BenchResult:
    """Run a benchmark, or finish one that was interrupted.

    Args:
        config: All that the numbers depend on.
        out: Folder of runs. Results of stages are kept below it and shared by its runs.
        reporter: Who is told about progress, and about a precision that is only emulated here; who
            gives none hears of that by a warning.
        executor: Who has the results made by several workers; without, this process makes all.
        done: What came of tasks of this very ``config`` (:mod:`camzoo.harness.tasks`), by name,
            where they were performed before; what failed there is not tried again.

    Raises:
        CamzooError: Something the user can mend; nothing half-written is left.
    """
    told = reporter or Quiet()
    config = executor.with_threads(config) if executor else config
    context = open_context(config, out, told)
    precisions = Precisions.of(config, context.device)
    if precisions.warning() and reporter is None:
        warnings.warn(precisions.warning(), stacklevel=2)
    for line in filter(None, (precisions.sentence(), precisions.warning())):
        told.note(line)
    with storing(out), use_threads(config.threads):
        began = time.time()
        run = open_run(context)
        for note in run.notes:
            told.note(note)
        tasks = tasks_of(settled(config), out)
        if executor is not None:
            done = executor.run(tasks, told)
        performed = Performed.of(tasks, done or {})
        return _bench(run, out, precisions, performed, began)


def _bench(
    run: OpenRun, out: Path, precisions: Precisions, performed: Performed, began: float
) -> BenchResult:
    """Put together what is in the store, and make what is not."""
    context, dataset = run.context, run.dataset
    prepared = prepare_slices(context, dataset)
    for note in prepared.notes:
        context.reporter.note(f"note: {note}")
    _say_planes(context, prepared)
    identity = identify(context.config, dataset, prepared.index)
    results = _cells(run, identity, prepared, performed.failures)
    rows = make_rows(record for result in results for record in result.records)
    if len(rows):
        require_sound(rows, "the rows of this run")
    failures = _failures(results)
    if not any(result.mapped.artifacts for result in results):
        reasons = "; ".join(f"{name}: {why}" for name, why in failures.items())
        raise CamzooError(f"every method failed: {reasons}")
    folder = out / identity.run
    curves = pd.concat([result.curves for result in results], ignore_index=True)
    manifest = _manifest(run, identity, prepared, results, failures)
    manifest["precision"] = precisions.record()
    times = {"finished": time.strftime("%Y-%m-%dT%H:%M:%S"), "seconds": time.time() - began}
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(rows, folder / ROWS)
        write_frame(curves, folder / CURVES)
        write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
        write_text(folder / "times.json", json.dumps(times, indent=1) + "\n")
        costs = write_costs(folder, [(result.cell.place, result.segmented) for result in results])
        write_sums(folder, (ROWS, CURVES, MANIFEST, *costs))
    for note in set_aside(identity, out):
        context.reporter.note(note)
    made = context.store.made + performed.made
    found = context.store.found - performed.made
    maps = maps_by_line(context, results[0].mapped)
    return BenchResult(rows, curves, folder, failures, prepared, maps, made, found)


def _say_planes(context: Context, prepared: Prepared) -> None:
    """Say how scans are cut before hours are spent on their slices."""
    stacks = prepared.index.stacks
    context.reporter.note(
        f"slices: {describe_slices(list(stacks.values()), context.config.data.slices)}"
    )
    if mixed := mixed_planes(stacks):
        context.reporter.note(f"note: {mixed}")


def _failures(results: Sequence[CellRows]) -> dict[str, str]:
    """Why methods and baselines have no rows; in which cells, where it is not the same in all."""
    found: dict[str, list[tuple[Place, str]]] = {}
    for result in results:
        for name, why in result.failures.items():
            found.setdefault(name, []).append((result.cell.place, why))
    texts = {}
    for name, failed in found.items():
        reasons = {why for _, why in failed}
        alike = len(failed) == len(results) and len(reasons) == 1
        texts[name] = "; ".join(
            why if alike else f"{place}: {why}" for place, why in (failed[:1] if alike else failed)
        )
    return texts


def _cells(
    run: OpenRun,
    identity: Identity,
    prepared: Prepared,
    failed: Mapping[Place, Mapping[str, str]],
) -> list[CellRows]:
    """Go through all cells of a run, without what is known to fail in each."""
    context, everyone, results = run.context, places(run.context.config), []
    for number, place in enumerate(everyone, 1):
        if len(everyone) > 1:
            context.reporter.note(f"cell {number} of {len(everyone)}: {place}")
        cell = open_cell(context, prepared, run.splits[place.fold], place.seed)
        results.append(rows_of_cell(cell, identity, failed.get(place, {})))
    return results


def _manifest(
    run: OpenRun,
    identity: Identity,
    prepared: Prepared,
    results: Sequence[CellRows],
    failures: Mapping[str, str],
) -> dict[str, Any]:
    context = run.context
    names = {text: public_name(text) for text in context.config.methods}
    return {
        "schema": SCHEMA,
        "run": identity.run,
        "lineage": identity.lineage,
        "config": context.config.without_places() | {"methods": [*names.values()]},
        "environment": context.store.environment,
        "weights": identity.weights,
        "dataset": {"name": identity.dataset, "data": identity.data}
        | _dataset_facts(context.config, run.dataset, prepared)
        | {"prepared": context.store.name(prepared.folder)},
        "splits": {
            str(fold): {"train": split.train, "val": split.val, "test": split.test}
            for fold, split in run.splits.items()
        },
        "cells": [
            {
                "fold": result.cell.place.fold,
                "seed": result.cell.seed,
                "classifier": result.cell.trained.artifact.digest,
                "history": result.cell.trained.history,
                "steps": {names[t]: told for t, told in result.mapped.facts().items()},
                "maps": {
                    name: context.store.name(folder)
                    for name, folder in maps_by_line(context, result.mapped).items()
                },
            }
            for result in results
        ],
        "artifacts": sorted(context.store.used),
        "equivalent": _equivalent(results[0].cell),
        "failures": {names.get(name, name): why for name, why in failures.items()},
    }


def _dataset_facts(config: BenchConfig, dataset: Dataset, prepared: Prepared) -> dict[str, Any]:
    facts, stacks = dataset.facts, prepared.index.stacks
    mixed = mixed_planes(stacks)
    return {
        "title": facts.title,
        "licence": facts.licence,
        "citation": facts.citation,
        "caveats": [*facts.caveats, *prepared.notes, *([mixed] if mixed else [])],
        "slices": describe_slices(list(stacks.values()), config.data.slices),
        "organs": list(prepared.index.organs),
        "content": prepared.index.content,
    }


def _equivalent(cell: Cell) -> list[tuple[str, ...]]:
    """Groups of methods that are one method on the head and layer of this run."""
    context, classifier = cell.context, cell.trained.classifier
    grey = torch.zeros(1, MULTIPLE, MULTIPLE, device=context.device)
    view = Viewer(classifier.model, context.config.backbone.layer)(classifier.normalise(grey))
    lines = {
        str(chain): line_name(chain.label, chain.variant)
        for chain in context.chains.values()
        if not chain.steps and not chain.fault
    }
    groups = equivalent(lines, closed_form=view.closed_form)
    return [tuple(lines[text] for text in group) for group in groups]
