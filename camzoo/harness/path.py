"""The path from volumes to numbers: each stage asked for in turn, and made where it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from camzoo.core.spec import Spec
from camzoo.data.datasets import Dataset
from camzoo.data.slices import Prepared
from camzoo.data.splits import Split
from camzoo.evaluate.choose import Choices
from camzoo.harness import stages
from camzoo.harness.cells import Cell, Trained
from camzoo.harness.context import Context, Place
from camzoo.harness.requests import Amounts, ask_prepare, ask_train
from camzoo.harness.store import Artifact
from camzoo.harness.workers.train import read_classifier
from camzoo.learning.loop import require_both_tags


@dataclass(frozen=True)
class MethodMaps:
    """The maps of the CAM methods of a cell.

    Attributes:
        artifacts: Artifact of each method.
        failures: Why a method has none, by method.
    """

    artifacts: dict[str, Artifact]
    failures: dict[str, str]


def prepare_slices(context: Context, dataset: Dataset) -> Prepared:
    """Read all volumes into slices, tags and masks."""
    data = context.config.data

    def make(folder: Path) -> None:
        with context.reporter.stage("reading volumes") as tick:
            stages.PREPARE.worker(
                dataset,
                folder,
                size=data.size,
                percentiles=data.percentiles,
                min_area=data.min_area,
                slices=data.slices,
                tick=tick,
            )

    return Prepared(context.store.get(ask_prepare(context.config, dataset), make).folder)


def open_cell(context: Context, prepared: Prepared, split: Split, seed: int) -> Cell:
    """Train the classifier of a cell on the tags of its training slices."""
    config, place = context.config, Place(split.fold, seed)
    slices = prepared.tagged(split.train)
    require_both_tags(slices)

    def make(folder: Path) -> None:
        with context.reporter.stage(f"training the classifier, {place}") as tick:
            stages.TRAIN.worker(
                folder, slices, config.backbone, config.training,
                seed=seed, device=context.device, tick=tick, note=context.reporter.note,
            )  # fmt: skip

    amounts = Amounts.of(config, prepared, split)
    artifact = context.store.get(ask_train(context, prepared, split, place, amounts), make)
    classifier, history = read_classifier(
        artifact.folder, config.backbone, len(slices.organs), seed=seed
    )
    trained = Trained(artifact, classifier.to(context.device), history)
    return Cell(context, prepared, split, seed, trained)


def map_methods(cell: Cell, methods: Sequence[Spec]) -> MethodMaps:
    """Make the maps of CAM methods for all slices of the data set, in one pass."""
    specs = {str(method): method for method in methods}
    failures: dict[str, str] = {}

    def make(folders: Mapping[str, Path]) -> Iterable[str]:
        ended: Mapping[str, str] = stages.MAPS.worker(
            cell, {name: specs[name] for name in folders}, folders
        )
        failures.update({name: why for name, why in ended.items() if why})
        return ended.keys() - failures.keys()

    artifacts = cell.context.store.get_all(cell.requests.maps(methods), make)
    return MethodMaps(artifacts, failures)


def sweep_thresholds(cell: Cell, name: str, maps: Artifact) -> Artifact:
    """Count the overlap of the maps of one method with the masks at all thresholds."""
    context = cell.context

    def make(folder: Path) -> None:
        with context.reporter.stage(f"threshold sweep of {name}") as tick:
            thresholds = context.config.evaluation.thresholds
            stages.CURVES.worker(folder, cell.prepared, maps.folder, thresholds, tick)

    return context.store.get(cell.requests.curves(name, maps), make)


def score_methods(
    cell: Cell, maps: Mapping[str, Artifact], choices: Mapping[str, Choices]
) -> dict[str, Artifact]:
    """Measure all methods at their chosen thresholds."""

    def make(folders: Mapping[str, Path]) -> Iterable[str]:
        places = {name: maps[name].folder for name in folders}
        with cell.context.reporter.stage(f"surface distances of {', '.join(folders)}") as tick:
            stages.SCORES.worker(folders, cell.prepared, places, choices, tick)
        return folders

    requests = {name: cell.requests.scores(maps[name], choices[name]) for name in maps}
    return cell.context.store.get_all(requests, make)


def score_baselines(cell: Cell, segmented: Mapping[str, Artifact]) -> dict[str, Artifact]:
    """Measure what baselines predicted, and the labels that they learned from."""

    def make(folders: Mapping[str, Path]) -> Iterable[str]:
        places = {name: segmented[name].folder for name in folders}
        with cell.context.reporter.stage(f"scoring {', '.join(folders)}") as tick:
            stages.LABELS.worker(folders, cell.prepared, cell.split, places, tick)
        return folders

    requests = {name: cell.requests.labels(artifact) for name, artifact in segmented.items()}
    return cell.context.store.get_all(requests, make)
