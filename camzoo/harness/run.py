"""The main job: every cell of a configuration, from volumes to result rows."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from camzoo.cams.equivalence import equivalent
from camzoo.cams.pipeline import MULTIPLE, input_side
from camzoo.cams.view.viewer import Viewer
from camzoo.config import BenchConfig
from camzoo.core.checksums import write_sums
from camzoo.core.environment import choose_device, use_threads
from camzoo.core.errors import CamzooError, ConfigError
from camzoo.core.files import storing, write_text
from camzoo.core.progress import Quiet, Reporter
from camzoo.core.spec import require_once
from camzoo.core.stored import write_frame
from camzoo.data.datasets import Dataset
from camzoo.data.limit import limited
from camzoo.data.opening import open_dataset
from camzoo.data.plane import describe_slices, mixed_planes
from camzoo.data.slices import Prepared
from camzoo.data.splits import Split, make_split
from camzoo.evaluate.choose import choose
from camzoo.evaluate.result_files import CURVES, read_curves, read_scores
from camzoo.evaluate.row_checks import require_sound
from camzoo.evaluate.rows import PSEUDO_MASK, ROWS, SEGMENTATION, line_name, make_rows, write_rows
from camzoo.harness.cells import Cell
from camzoo.harness.chains import Mapped, map_chains
from camzoo.harness.context import Context, Place, places
from camzoo.harness.identity import Identity, beginning, identify
from camzoo.harness.manifest import MANIFEST, SCHEMA, STORE
from camzoo.harness.path import open_cell, prepare_slices, score_methods, sweep_thresholds
from camzoo.harness.plugins import load_plugins
from camzoo.harness.segmentation import Segmented, segment_cell, write_costs
from camzoo.harness.store import Artifact, Store
from camzoo.harness.superseded import set_aside
from camzoo.network.backbone import build_classifier, require_sides
from camzoo.network.precision import Precisions
from camzoo.steps.chain import Chain


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
        lines = self.rows[["method", "variant"]].drop_duplicates().astype(str)
        named = ", ".join(map(line_name, lines["method"], lines["variant"]))
        return "\n".join([
            f"BenchResult {self.folder.name}: {len(self.rows)} rows",
            f"  lines: {named}",
            *(f"  {name} failed: {why}" for name, why in self.failures.items()),
            f"  folder: {self.folder}",
        ])  # fmt: skip


def bench(
    config: BenchConfig, out: Path = Path("runs"), reporter: Reporter | None = None
) -> BenchResult:
    """Run a benchmark, or finish one that was interrupted.

    Args:
        config: All that the numbers depend on.
        out: Folder of runs. Results of stages are kept below it and shared by its runs.
        reporter: Who is told about progress, and about a precision that is only emulated here; who
            gives none hears of that by a warning.

    Raises:
        CamzooError: Something the user can mend; nothing half-written is left.
    """
    load_plugins(config.plugins)
    device = choose_device(config.device)
    told = reporter or Quiet()
    context = Context(config, Store(out / STORE, told, device), device, told)
    require_names(context)
    precisions = Precisions.of(config, device)
    if precisions.warning() and reporter is None:
        warnings.warn(precisions.warning(), stacklevel=2)
    for line in filter(None, (precisions.sentence(), precisions.warning())):
        told.note(line)
    with storing(out), use_threads(config.threads):
        return _bench(context, out, precisions)


def open_limited(config: BenchConfig) -> Dataset:
    """Open the data set of a run, with as many of its cases as the run takes."""
    data = config.data
    dataset = open_dataset(data.name, data.root, data.options)
    return dataset if data.limit is None else limited(dataset, data.limit, seed=data.split_seed)


def splits_of(config: BenchConfig, dataset: Dataset) -> dict[int, Split]:
    """Divide the cases of a run, by fold."""
    data = config.data
    return {
        fold: make_split(dataset, data.split, fold=fold, seed=data.split_seed, k=data.k_folds)
        for fold in data.folds
    }


def _bench(context: Context, out: Path, precisions: Precisions) -> BenchResult:
    began = time.time()
    config = context.config
    dataset = open_limited(config)
    beginning(config, dataset)  # a name that cannot be is found before hours are spent
    splits = splits_of(config, dataset)
    for note in require_network(config, dataset):
        context.reporter.note(note)
    prepared = prepare_slices(context, dataset)
    for note in prepared.notes:
        context.reporter.note(f"note: {note}")
    _say_planes(context, prepared)
    identity = identify(config, dataset, prepared.index)
    results = [
        _run_cell(context, identity, prepared, splits[place.fold], place)
        for place in places(config)
    ]
    rows = make_rows(record for result in results for record in result.records)
    if len(rows):
        require_sound(rows, "the rows of this run")
    failures = _failures(results)
    if not any(result.mapped.artifacts for result in results):
        reasons = "; ".join(f"{name}: {why}" for name, why in failures.items())
        raise CamzooError(f"every method failed: {reasons}")
    folder = out / identity.run
    curves = pd.concat([result.curves for result in results], ignore_index=True)
    manifest = _manifest(context, identity, dataset, prepared, splits, results, failures)
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
    made, found = dict(context.store.made), dict(context.store.found)
    maps = _maps_by_line(context, results[0].mapped)
    return BenchResult(rows, curves, folder, failures, prepared, maps, made, found)


def _say_planes(context: Context, prepared: Prepared) -> None:
    """Say how scans are cut before hours are spent on their slices."""
    stacks = prepared.index.stacks
    context.reporter.note(
        f"slices: {describe_slices(list(stacks.values()), context.config.data.slices)}"
    )
    if mixed := mixed_planes(stacks):
        context.reporter.note(f"note: {mixed}")


def require_names(context: Context) -> None:
    """Find wrong names of methods and baselines, and wrong settings of theirs, before anything.

    One method that cannot be loaded fails its own row; where none can, there is nothing to run.

    Raises:
        ConfigError: There is one, or two are names of one thing.
    """
    require_once("methods", [(text, str(chain)) for text, chain in context.chains.items()])
    require_once("baselines", [(text, str(spec)) for text, spec in context.baselines.items()])
    faults = [chain.fault for chain in context.chains.values()]
    if faults and all(faults):
        raise ConfigError("; ".join(dict.fromkeys(faults)))


def require_network(config: BenchConfig, dataset: Dataset) -> tuple[str, ...]:
    """Find weights and layers that do not fit the backbone before hours are spent on reading.

    Returns:
        What the backbone does not do as it was wished, a line for each.

    Raises:
        ConfigError: There is one.
    """
    classifier = build_classifier(config.backbone, len(dataset.organs), seed=0)
    require_sides(classifier, (config.training.crop, input_side(config.maps.side, 1.0)))
    Viewer(classifier.model, config.backbone.layer)
    return classifier.notes


@dataclass(frozen=True)
class _CellResult:
    cell: Cell
    mapped: Mapped
    segmented: Segmented
    records: list[dict[str, Any]]
    curves: pd.DataFrame

    @property
    def failures(self) -> dict[str, str]:
        """Why a method or baseline has no rows, by name."""
        failed = self.segmented.failures.items()
        return self.mapped.failures | {f"baseline {name}": why for name, why in failed}


def _failures(results: Sequence[_CellResult]) -> dict[str, str]:
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


def _run_cell(
    context: Context, identity: Identity, prepared: Prepared, split: Split, place: Place
) -> _CellResult:
    everyone = places(context.config)
    if len(everyone) > 1:
        number = everyone.index(place) + 1
        context.reporter.note(f"cell {number} of {len(everyone)}: {place}")
    cell = open_cell(context, prepared, split, place.seed)
    mapped = map_chains(cell, context.chains)
    curves = {
        name: _read_curves(sweep_thresholds(cell, name, artifact), split)
        for name, artifact in mapped.artifacts.items()
    }
    rules = context.config.evaluation
    choices = {n: choose(frame, rules.protocols, rules.fixed) for n, frame in curves.items()}
    scored = score_methods(cell, mapped.artifacts, choices)
    constant = _cell_columns(context.config, identity, place)
    columns = {n: _method_columns(context.chains[n], mapped.notes(n)) for n in mapped.artifacts}
    records = [
        constant | columns[name] | record
        for name, artifact in scored.items()
        for record in read_scores(artifact.folder)
    ]
    segmented = segment_cell(cell)
    precision = {SEGMENTATION: context.config.segmentation.precision}
    records += [
        constant | {"computed_in": precision.get(record["stage"], constant["computed_in"])} | record
        for record in segmented.records
    ]
    keyed = [frame.assign(**(constant | columns[name])) for name, frame in curves.items()]
    return _CellResult(
        cell, mapped, segmented, records, pd.concat(keyed) if keyed else pd.DataFrame()
    )


def _read_curves(artifact: Artifact, split: Split) -> pd.DataFrame:
    frame = read_curves(artifact.folder)
    return frame.assign(subset=frame["case"].map(split.subset_of()))


def _cell_columns(config: BenchConfig, identity: Identity, place: Place) -> dict[str, Any]:
    return {
        "run": identity.run,
        "dataset": identity.dataset,
        "data": identity.short_data,
        "split": config.data.split.value,
        "fold": place.fold,
        "seed": place.seed,
        "backbone": config.backbone.name,
        "computed_in": config.training.precision,
        "stage": PSEUDO_MASK,
    }


def _maps_by_line(context: Context, mapped: Mapped) -> dict[str, Path]:
    """Folders of maps under the names that tables call them by."""
    folders = {}
    for text, artifact in mapped.artifacts.items():
        columns = _method_columns(context.chains[text], mapped.notes(text))
        folders[line_name(columns["method"], columns["variant"])] = artifact.folder
    return folders


def _method_columns(chain: Chain, notes: Sequence[str]) -> dict[str, Any]:
    variant = ", ".join(part for part in (chain.variant, *notes) if part)
    return {"method": chain.label, "variant": variant, "supervision": chain.supervision.value}


def _manifest(
    context: Context,
    identity: Identity,
    dataset: Dataset,
    prepared: Prepared,
    splits: Mapping[int, Split],
    results: list[_CellResult],
    failures: Mapping[str, str],
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "run": identity.run,
        "lineage": identity.lineage,
        "config": context.config.without_places(),
        "environment": context.store.environment,
        "weights": identity.weights,
        "dataset": {"name": identity.dataset, "data": identity.data}
        | _dataset_facts(context.config, dataset, prepared)
        | {"prepared": context.store.name(prepared.folder)},
        "splits": {
            str(fold): {"train": split.train, "val": split.val, "test": split.test}
            for fold, split in splits.items()
        },
        "cells": [
            {
                "fold": result.cell.place.fold,
                "seed": result.cell.seed,
                "classifier": result.cell.trained.artifact.digest,
                "history": result.cell.trained.history,
                "steps": result.mapped.facts(),
                "maps": {
                    name: context.store.name(folder)
                    for name, folder in _maps_by_line(context, result.mapped).items()
                },
            }
            for result in results
        ],
        "artifacts": sorted(context.store.used),
        "equivalent": _equivalent(results[0].cell),
        "failures": dict(failures),
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
