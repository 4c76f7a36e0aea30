"""The stages from files to numbers: plain functions of a configuration and earlier artifacts.

Each builds the key that says what its result depends on, and leaves the work to the part of camzoo
that knows how. ``VERSIONS`` is raised for a stage whenever its result changes for the same key;
"fitting" is the part of the stage of maps that only methods which learn go through.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd
import torch
from pydantic import TypeAdapter
from safetensors.torch import save_file

from camzoo.cams.base import FitContext
from camzoo.cams.map_files import MapFiles
from camzoo.cams.pipeline import make_maps
from camzoo.cams.view.model_seal import ModelSeal
from camzoo.config import BenchConfig
from camzoo.core.files import write_text
from camzoo.core.progress import Reporter
from camzoo.core.spec import Spec
from camzoo.core.stored import read_json, read_tensors, reading, write_frame
from camzoo.data.datasets import Dataset
from camzoo.data.prepare import prepare
from camzoo.data.slices import Prepared, TaggedSlices
from camzoo.data.splits import Split
from camzoo.evaluate.choose import Choices
from camzoo.evaluate.measure import measure_maps, sweep_maps
from camzoo.evaluate.prepared_cases import mapped_cases
from camzoo.evaluate.result_files import CURVES, SCORES
from camzoo.harness.guarded import Guarded
from camzoo.harness.source import metrics_code, source_digest
from camzoo.harness.store import Artifact, Key, Store
from camzoo.harness.work import curves_work, maps_work, prepare_work, scores_work, train_work
from camzoo.learning.augmentation import mirrored
from camzoo.learning.loop import fit, require_both_tags
from camzoo.network.backbone import Classifier, build_classifier
from camzoo.network.precision import Precisions
from camzoo.registries import cams
from camzoo.segment.selection import parse_baseline
from camzoo.steps.chain import Chain, parse_chain

VERSIONS: Final = {
    "prepare": 2, "train": 1, "maps": 3, "fitting": 2, "curves": 1, "scores": 3,
}  # fmt: skip
#: Loss and tag accuracies per epoch, as they are stored.
_HISTORY: Final = TypeAdapter(list[dict[str, Any]])


@dataclass(frozen=True)
class Context:
    """What all stages of a run share.

    Attributes:
        config: Of the run; its precisions become those that the device computes in, so that no key
            of a result holds "auto".
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


def prepare_key(config: BenchConfig, dataset: Dataset) -> Key:
    """What the slices depend on."""
    data = config.data
    return {
        "version": VERSIONS["prepare"],
        "dataset": data.name,
        "options": data.options,
        "files": dataset.fingerprint(),
        "size": data.size,
        "percentiles": data.percentiles,
        "min_area": data.min_area,
        # A fingerprint may speak of the data set as a whole, as the phantom's does.
        **({} if data.limit is None else {"cases": [case.id for case in dataset.cases()]}),
        "slices": data.slices,
    }


def prepare_stage(context: Context, dataset: Dataset) -> Prepared:
    """Read all volumes into slices, tags and masks."""
    data = context.config.data

    def make(folder: Path) -> None:
        with context.reporter.stage("reading volumes") as tick:
            prepare(
                dataset,
                folder,
                size=data.size,
                percentiles=data.percentiles,
                min_area=data.min_area,
                slices=data.slices,
                tick=tick,
            )

    artifact = context.store.get(
        "prepare",
        prepare_key(context.config, dataset),
        make,
        title="slices and tags",
        work=prepare_work(context.config, len(dataset.cases())),
    )
    return Prepared(artifact.folder)


@dataclass(frozen=True)
class Trained:
    """A trained classifier.

    Attributes:
        artifact: Where it is stored.
        classifier: On the device of the run, in evaluation mode.
        history: Loss and tag accuracy per epoch.
    """

    artifact: Artifact
    classifier: Classifier
    history: list[dict[str, Any]]


def train_key(context: Context, prepared: Prepared, split: Split, seed: int) -> Key:
    """What the classifier of a cell depends on."""
    config = context.config
    return {
        "version": VERSIONS["train"],
        "content": prepared.index.content,
        "train": split.train,
        "backbone": config.backbone.model_dump(mode="json", exclude={"layer", "weights"}),
        "weights": _weights_digest(config),
        "training": config.training.model_dump(mode="json"),
        "seed": seed,
        "device": context.device.type,
    }


def train_stage(context: Context, prepared: Prepared, split: Split, seed: int) -> Trained:
    """Train the classifier of a cell on the tags of its training slices."""
    config = context.config
    slices = prepared.tagged(split.train)
    require_both_tags(slices)

    def make(folder: Path) -> None:
        classifier = build_classifier(config.backbone, len(slices.organs), seed=seed)
        with context.reporter.stage(f"training the classifier, {_of_cell(split, seed)}") as tick:
            history = fit(
                classifier,
                slices,
                config.training,
                seed=seed,
                device=context.device,
                checkpoint=folder / "checkpoint.safetensors",
                tick=tick,
            )
        state = {name: value.cpu().contiguous() for name, value in classifier.state_dict().items()}
        save_file(state, folder / "classifier.safetensors")
        write_text(folder / "history.json", json.dumps([asdict(epoch) for epoch in history]))
        (folder / "checkpoint.safetensors").unlink()

    artifact = context.store.get(
        "train",
        train_key(context, prepared, split, seed),
        make,
        title=f"classifier, {_of_cell(split, seed)}",
        work=train_work(config, len(slices)),
        resumable=True,
    )
    classifier = build_classifier(config.backbone, len(slices.organs), seed=seed)
    weights = artifact.folder / "classifier.safetensors"
    with reading(weights):
        classifier.load_state_dict(read_tensors(weights))
    history = read_json(artifact.folder / "history.json", _HISTORY)
    return Trained(artifact, classifier.eval().to(context.device), history)


@dataclass(frozen=True)
class MethodMaps:
    """The maps of the CAM methods of a cell.

    Attributes:
        artifacts: By method.
        failures: Why a method has none, by method.
    """

    artifacts: dict[str, Artifact]
    failures: dict[str, str]


def maps_keys(config: BenchConfig, train: Artifact, methods: Sequence[Spec]) -> dict[str, Key]:
    """What the maps of CAM methods depend on, by method."""
    return {
        str(method): {
            "version": VERSIONS["maps"],
            "train": train.digest,
            "method": method.name,
            **({"settings": dict(method.settings)} if method.settings else {}),
            "code": source_digest(cams.get(method.name)),
            "layer": config.backbone.layer,
            "maps": config.maps.model_dump(mode="json", exclude={"batch"}),
            **({"fitting": VERSIONS["fitting"]} if cams.get(method.name).needs_fit else {}),
        }
        for method in methods
    }


def maps_stage(
    context: Context,
    prepared: Prepared,
    split: Split,
    trained: Trained,
    seed: int,
    methods: Sequence[Spec],
) -> MethodMaps:
    """Make the maps of CAM methods for all slices of the data set, in one pass."""
    config = context.config
    slices = prepared.tagged()
    specs = {str(method): method for method in methods}
    guarded: dict[str, Guarded] = {}

    def make(folders: dict[str, Path]) -> set[str]:
        store = context.store.root
        seal = ModelSeal(trained.classifier)
        for name in folders:
            kind, settings = cams.get(specs[name].name), dict(specs[name].settings)
            guarded[name] = Guarded(kind, store, seed, seal, settings)
        for name, method in guarded.items():
            # Slices of its own: what a method writes into them no other reads.
            training = prepared.tagged(split.train)
            with _learning(context, specs[name]):
                method.fit(_fitting(context, trained, training, seed))
        shape = len(slices), len(slices.organs), config.maps.size
        files = {name: MapFiles.create(folder, *shape) for name, folder in folders.items()}
        with context.reporter.stage(f"maps, {_of_cell(split, seed)}: {', '.join(folders)}") as tick:
            make_maps(
                trained.classifier,
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
        return {name for name, method in guarded.items() if not method.failure}

    mirror = mirrored(config.maps.flip, sided=slices.sided)
    artifacts = context.store.get_all(
        "maps",
        maps_keys(config, trained.artifact, methods),
        make,
        title=f"maps, {_of_cell(split, seed)}",
        works={n: maps_work(config, n, len(slices), mirrored=mirror) for n in specs},
    )
    return MethodMaps(artifacts, {n: m.failure for n, m in guarded.items() if m.failure})


def _learning(context: Context, method: Spec) -> AbstractContextManager[object]:
    """A stage for methods that learn; the others are only constructed."""
    if cams.get(method.name).needs_fit:
        return context.reporter.stage(f"{method} learns")
    return nullcontext()


def _fitting(context: Context, trained: Trained, slices: TaggedSlices, seed: int) -> FitContext:
    """What one method learns from; its generator is its own, whatever else is fitted."""
    return FitContext(
        classifier=trained.classifier,
        slices=slices,
        generator=torch.Generator().manual_seed(seed),
        device=context.device,
        layer=context.config.backbone.layer,
        side=context.config.maps.side,
    )


def curves_key(config: BenchConfig, mapped: Artifact) -> Key:
    """What the overlap at all thresholds depends on."""
    thresholds = config.evaluation.thresholds
    return {"version": VERSIONS["curves"], "maps": mapped.digest, "thresholds": thresholds}


def curves_stage(context: Context, prepared: Prepared, mapped: Artifact, name: str) -> Artifact:
    """Sweep the thresholds over the maps of one method."""
    config = context.config
    thresholds = config.evaluation.thresholds

    def make(folder: Path) -> None:
        with context.reporter.stage(f"threshold sweep of {name}") as tick:
            cases = mapped_cases(prepared, {name: MapFiles.open(mapped.folder)})
            curves = sweep_maps(cases, thresholds, tick)
        write_frame(curves[name], folder / CURVES)

    slices = prepared.tagged()
    return context.store.get(
        "curves",
        curves_key(config, mapped),
        make,
        title=f"threshold sweep of {name}",
        work=curves_work(config, len(slices), len(slices.organs)),
    )


def scores_keys(mapped: Mapping[str, Artifact], choices: Mapping[str, Choices]) -> dict[str, Key]:
    """What the distances at the chosen thresholds depend on, by method."""
    metrics = metrics_code()
    return {
        name: {
            "version": VERSIONS["scores"],
            "maps": artifact.digest,
            "choices": {c: [asdict(x) for x in chosen] for c, chosen in choices[name].items()},
            "metrics": metrics,
        }
        for name, artifact in mapped.items()
    }


def scores_stage(
    context: Context,
    prepared: Prepared,
    mapped: Mapping[str, Artifact],
    choices: Mapping[str, Choices],
) -> dict[str, Artifact]:
    """Measure distances of all methods at their chosen thresholds."""

    def make(folders: dict[str, Path]) -> set[str]:
        files = {name: MapFiles.open(mapped[name].folder) for name in folders}
        with context.reporter.stage(f"surface distances of {', '.join(folders)}") as tick:
            scored = measure_maps(mapped_cases(prepared, files), choices, tick)
        for name, folder in folders.items():
            write_frame(pd.DataFrame.from_records(scored[name]), folder / SCORES)
        return set(folders)

    slices = prepared.tagged()
    work = scores_work(context.config, len(slices), len(slices.organs))
    return context.store.get_all(
        "scores",
        scores_keys(mapped, choices),
        make,
        title="surface distances",
        works=dict.fromkeys(mapped, work),
    )


def _of_cell(split: Split, seed: int) -> str:
    return f"fold {split.fold}, seed {seed}"


def _weights_digest(config: BenchConfig) -> str:
    """What the starting weights depend on: the content of a file, or timm's tag."""
    weights = config.backbone.weights
    if isinstance(weights, Path) and weights.is_file():
        return hashlib.sha256(weights.read_bytes()).hexdigest()
    return str(weights)
