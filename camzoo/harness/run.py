"""The main job: every cell of a configuration, from volumes to result rows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from camzoo.backbone import build_classifier
from camzoo.cams.chain import Chain, parse_chain
from camzoo.cams.equivalence import equivalent
from camzoo.cams.pipeline import MULTIPLE
from camzoo.cams.view import Viewer
from camzoo.config import BenchConfig
from camzoo.data.datasets import Dataset
from camzoo.data.opening import open_dataset
from camzoo.data.slices import Prepared
from camzoo.data.splits import Split, make_split
from camzoo.environment import choose_device, describe, use_threads
from camzoo.errors import CamzooError, ConfigError
from camzoo.files import write_text
from camzoo.harness.cells import Cell, cells
from camzoo.harness.chains import Mapped, chains_stage
from camzoo.harness.protocols import choose
from camzoo.harness.scores import read_scores
from camzoo.harness.segmentation import Segmented, segment_cell, write_costs
from camzoo.harness.stages import (
    Context,
    Trained,
    curves_stage,
    prepare_stage,
    scores_stage,
    train_stage,
)
from camzoo.harness.store import Artifact, Store
from camzoo.progress import Quiet, Reporter
from camzoo.rows import PSEUDO_MASK, line_name, make_rows, write_rows
from camzoo.segment.written import parse_baseline


@dataclass(frozen=True)
class BenchResult:
    """What a run gave.

    Attributes:
        rows: Result rows (:mod:`camzoo.rows`).
        curves: Counts of every method, case, organ and threshold.
        folder: Where rows, curves, costs and manifest were written.
        failures: Why a method or baseline has no rows, by name.
        prepared: Slices, tags and masks of the data set.
        maps: Folder of the maps of the first cell, by method and variant as tables call them.
    """

    rows: pd.DataFrame
    curves: pd.DataFrame
    folder: Path
    failures: Mapping[str, str]
    prepared: Prepared
    maps: Mapping[str, Path]


def bench(
    config: BenchConfig, out: Path = Path("runs"), reporter: Reporter | None = None
) -> BenchResult:
    """Run a benchmark, or finish one that was interrupted.

    Args:
        config: All that the numbers depend on.
        out: Folder of runs. Results of stages are kept below it and shared by its runs.
        reporter: Who is told about progress.

    Raises:
        CamzooError: Something the user can mend; nothing half-written is left.
    """
    with use_threads(config.threads):
        return _bench(config, out, reporter or Quiet())


def _bench(config: BenchConfig, out: Path, reporter: Reporter) -> BenchResult:
    began = time.time()
    context = Context(config, Store(out / "store"), choose_device(config.device), reporter)
    dataset = open_dataset(config.data.name, config.data.root, config.data.options)
    splits = {fold: _split(config, dataset, fold) for fold in config.data.folds}
    _refuse_early(config, dataset)
    prepared = prepare_stage(context, dataset)
    results = [_run_cell(context, prepared, splits[cell.fold], cell) for cell in cells(config)]
    rows = make_rows(record for result in results for record in result.records)
    failures = _failures(results)
    if not any(result.mapped.artifacts for result in results):
        raise CamzooError(f"every method failed: {failures}")
    folder = out / config.run
    folder.mkdir(parents=True, exist_ok=True)
    curves = pd.concat([result.curves for result in results], ignore_index=True)
    write_rows(rows, folder / "rows.parquet")
    curves.to_parquet(folder / "curves.parquet", index=False)
    manifest = _manifest(context, dataset, prepared, splits, results, failures)
    write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    times = {"finished": time.strftime("%Y-%m-%dT%H:%M:%S"), "seconds": time.time() - began}
    write_text(folder / "times.json", json.dumps(times, indent=1) + "\n")
    write_costs(folder, [(result.cell, result.segmented) for result in results])
    maps = _maps_by_line(results[0].mapped)
    return BenchResult(rows, curves, folder, failures, prepared, maps)


def _refuse_early(config: BenchConfig, dataset: Dataset) -> None:
    """Find wrong names and weights that do not fit before hours are spent on reading.

    One method that cannot be loaded fails its own row; where none can, there is nothing to run.

    Raises:
        ConfigError: There is one.
    """
    _require_different(config.methods, parse_chain)
    _require_different(config.baselines, parse_baseline)
    faults = [parse_chain(method).fault for method in config.methods]
    if faults and all(faults):
        raise ConfigError("; ".join(dict.fromkeys(faults)))
    classifier = build_classifier(config.backbone, len(dataset.organs), seed=0)
    Viewer(classifier.model, config.backbone.layer)


def _require_different(texts: Sequence[str], parse: Callable[[str], object]) -> None:
    """Refuse two names of one thing: tables would hold every number of it twice."""
    first: dict[str, str] = {}
    for text in texts:
        other = first.setdefault(str(parse(text)), text)
        if other != text:
            raise ConfigError(f"{other} and {text} are one and the same; give one of the names")


@dataclass(frozen=True)
class _CellResult:
    cell: Cell
    trained: Trained
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
    found: dict[str, list[tuple[Cell, str]]] = {}
    for result in results:
        for name, why in result.failures.items():
            found.setdefault(name, []).append((result.cell, why))
    texts = {}
    for name, cells_of in found.items():
        reasons = {why for _, why in cells_of}
        alike = len(cells_of) == len(results) and len(reasons) == 1
        texts[name] = "; ".join(
            why if alike else f"fold {cell.fold}, seed {cell.seed}: {why}"
            for cell, why in (cells_of[:1] if alike else cells_of)
        )
    return texts


def _split(config: BenchConfig, dataset: Dataset, fold: int) -> Split:
    return make_split(dataset, config.data.split, fold=fold, seed=config.data.split_seed)


def _run_cell(context: Context, prepared: Prepared, split: Split, cell: Cell) -> _CellResult:
    trained = train_stage(context, prepared, split, cell.seed)
    mapped = chains_stage(context, prepared, split, trained, cell.seed)
    curves = {
        name: _read_curves(curves_stage(context, prepared, artifact, name), split)
        for name, artifact in mapped.artifacts.items()
    }
    rules = context.config.evaluation
    choices = {n: choose(frame, rules.protocols, rules.fixed) for n, frame in curves.items()}
    scored = scores_stage(context, prepared, mapped.artifacts, choices)
    constant = _cell_columns(context.config, cell)
    columns = {n: _method_columns(parse_chain(n), mapped.notes(n)) for n in mapped.artifacts}
    records = [
        constant | columns[name] | record
        for name, artifact in scored.items()
        for record in read_scores(artifact.folder)
    ]
    segmented = segment_cell(context, prepared, split, trained, cell.seed)
    records += [constant | record for record in segmented.records]
    keyed = [frame.assign(**(constant | columns[name])) for name, frame in curves.items()]
    return _CellResult(
        cell, trained, mapped, segmented, records, pd.concat(keyed) if keyed else pd.DataFrame()
    )


def _read_curves(artifact: Artifact, split: Split) -> pd.DataFrame:
    frame = pd.read_parquet(artifact.folder / "curves.parquet")
    return frame.assign(subset=frame["case"].map(split.subset_of()))


def _cell_columns(config: BenchConfig, cell: Cell) -> dict[str, Any]:
    variant = config.data.options.get("variant")
    return {
        "run": config.run,
        "dataset": f"{config.data.name}-{variant}" if variant else config.data.name,
        "split": config.data.split.value,
        "fold": cell.fold,
        "seed": cell.seed,
        "backbone": config.backbone.name,
        "stage": PSEUDO_MASK,
    }


def _maps_by_line(mapped: Mapped) -> dict[str, Path]:
    """Folders of maps under the names that tables call them by."""
    folders = {}
    for text, artifact in mapped.artifacts.items():
        columns = _method_columns(parse_chain(text), mapped.notes(text))
        folders[line_name(columns["method"], columns["variant"])] = artifact.folder
    return folders


def _method_columns(chain: Chain, notes: Sequence[str]) -> dict[str, Any]:
    variant = ", ".join(part for part in (chain.variant, *notes) if part)
    return {"method": chain.label, "variant": variant, "supervision": chain.supervision.value}


def _manifest(
    context: Context,
    dataset: Dataset,
    prepared: Prepared,
    splits: Mapping[int, Split],
    results: list[_CellResult],
    failures: Mapping[str, str],
) -> dict[str, Any]:
    config = context.config
    return {
        "run": config.run,
        "config": config.without_places(),
        "environment": describe(context.device),
        "dataset": {
            "title": dataset.facts.title,
            "licence": dataset.facts.licence,
            "citation": dataset.facts.citation,
            "caveats": list(dataset.facts.caveats),
            "organs": list(prepared.index.organs),
            "content": prepared.index.content,
        },
        "splits": {
            str(fold): {"train": split.train, "val": split.val, "test": split.test}
            for fold, split in splits.items()
        },
        "cells": [
            {
                "fold": result.cell.fold,
                "seed": result.cell.seed,
                "classifier": result.trained.artifact.digest,
                "history": result.trained.history,
                "steps": result.mapped.facts(),
            }
            for result in results
        ],
        "equivalent": _equivalent(context, results[0].trained),
        "failures": dict(failures),
    }


def _equivalent(context: Context, trained: Trained) -> list[tuple[str, ...]]:
    """Groups of methods that are one method on the head and layer of this run."""
    config = context.config
    classifier = trained.classifier
    grey = torch.zeros(1, MULTIPLE, MULTIPLE, device=context.device)
    view = Viewer(classifier.model, config.backbone.layer)(classifier.normalise(grey))
    return equivalent(config.methods, closed_form=view.closed_form)
