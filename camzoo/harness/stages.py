"""The stages from files to numbers: plain functions of a configuration and earlier artifacts.

Each builds the key that says what its result depends on, and leaves the work to the part of camzoo
that knows how. ``VERSIONS`` is raised for a stage whenever its result changes for the same key;
"fitting" is the part of the stage of maps that only methods which learn go through.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from camzoo.backbone import Classifier, build_classifier
from camzoo.cams.base import FitContext
from camzoo.cams.pipeline import divide_by_volume_maximum, make_maps
from camzoo.config import BenchConfig
from camzoo.data.datasets import Dataset
from camzoo.data.prepare import prepare
from camzoo.data.slices import Prepared, TaggedSlices
from camzoo.data.splits import Split
from camzoo.files import write_text
from camzoo.harness.curves import sweep_cases
from camzoo.harness.guarded import Guarded
from camzoo.harness.map_files import MapFiles
from camzoo.harness.protocols import Choice
from camzoo.harness.scores import SCORES, score_cases
from camzoo.harness.source import source_digest
from camzoo.harness.store import Artifact, Store
from camzoo.progress import Reporter
from camzoo.training import fit, require_both_tags
from camzoo.zoo import cams

VERSIONS: Final = {
    "prepare": 1, "train": 1, "maps": 2, "fitting": 2, "curves": 1, "scores": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Context:
    """What all stages of a run share.

    Attributes:
        config: Of the run.
        store: Where results go.
        device: Where to compute.
        reporter: Who is told.
    """

    config: BenchConfig
    store: Store
    device: torch.device
    reporter: Reporter


def prepare_stage(context: Context, dataset: Dataset) -> Prepared:
    """Read all volumes into slices, tags and masks."""
    data = context.config.data
    key = {
        "version": VERSIONS["prepare"],
        "dataset": data.name,
        "options": data.options,
        "files": dataset.fingerprint(),
        "size": data.size,
        "percentiles": data.percentiles,
        "min_area": data.min_area,
    }

    def make(folder: Path) -> None:
        with context.reporter.stage("reading volumes") as tick:
            prepare(
                dataset,
                folder,
                size=data.size,
                percentiles=data.percentiles,
                min_area=data.min_area,
                tick=tick,
            )

    return Prepared(context.store.get("prepare", key, make).folder)


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


def train_stage(context: Context, prepared: Prepared, split: Split, seed: int) -> Trained:
    """Train the classifier of a cell on the tags of its training slices."""
    config = context.config
    slices = prepared.tagged(split.train)
    require_both_tags(slices)
    key = {
        "version": VERSIONS["train"],
        "content": prepared.index.content,
        "train": split.train,
        "backbone": config.backbone.model_dump(mode="json", exclude={"layer", "weights"}),
        "weights": _weights_digest(config),
        "training": config.training.model_dump(mode="json"),
        "seed": seed,
        "device": context.device.type,
    }

    def make(folder: Path) -> None:
        classifier = build_classifier(config.backbone, len(slices.organs), seed=seed)
        with context.reporter.stage(f"training the classifier, seed {seed}") as tick:
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

    artifact = context.store.get("train", key, make, resumable=True)
    classifier = build_classifier(config.backbone, len(slices.organs), seed=seed)
    classifier.load_state_dict(load_file(artifact.folder / "classifier.safetensors"))
    history = json.loads((artifact.folder / "history.json").read_text())
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


def maps_stage(
    context: Context,
    prepared: Prepared,
    split: Split,
    trained: Trained,
    seed: int,
    methods: Sequence[str],
) -> MethodMaps:
    """Make the maps of CAM methods for all slices of the data set, in one pass."""
    config = context.config
    slices = prepared.tagged()
    keys = {
        name: {
            "version": VERSIONS["maps"],
            "train": trained.artifact.digest,
            "method": name,
            "code": source_digest(cams.get(name)),
            "layer": config.backbone.layer,
            "maps": config.maps.model_dump(mode="json", exclude={"batch"}),
            **({"fitting": VERSIONS["fitting"]} if cams.get(name).needs_fit else {}),
        }
        for name in methods
    }
    guarded: dict[str, Guarded] = {}

    def make(folders: dict[str, Path]) -> set[str]:
        guarded.update({name: Guarded(cams.get(name)) for name in folders})
        training = prepared.tagged(split.train)
        for method in guarded.values():
            method.fit(_fitting(context, trained, training, seed))
        shape = len(slices), len(slices.organs), config.maps.size
        files = {name: MapFiles.create(folder, *shape) for name, folder in folders.items()}
        with context.reporter.stage(f"maps, seed {seed}: {', '.join(folders)}") as tick:
            make_maps(
                trained.classifier,
                guarded,
                slices,
                config.maps,
                files,
                layer=config.backbone.layer,
                precision=config.training.precision,
                device=context.device,
                tick=tick,
            )
        for arrays in files.values():
            if config.maps.normalisation == "volume-max":
                divide_by_volume_maximum(arrays, slices.cases)
            arrays.flush()
        return {name for name, method in guarded.items() if not method.failure}

    artifacts = context.store.get_all("maps", keys, make)
    return MethodMaps(artifacts, {n: m.failure for n, m in guarded.items() if m.failure})


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


def curves_stage(context: Context, prepared: Prepared, mapped: Artifact, name: str) -> Artifact:
    """Sweep the thresholds over the maps of one method."""
    thresholds = context.config.evaluation.thresholds
    key = {"version": VERSIONS["curves"], "maps": mapped.digest, "thresholds": thresholds}

    def make(folder: Path) -> None:
        with context.reporter.stage(f"threshold sweep of {name}") as tick:
            curves = sweep_cases(prepared, MapFiles.open(mapped.folder), thresholds, tick)
        curves.to_parquet(folder / "curves.parquet", index=False)

    return context.store.get("curves", key, make)


def scores_stage(
    context: Context,
    prepared: Prepared,
    mapped: Mapping[str, Artifact],
    choices: Mapping[str, Mapping[str, Sequence[Choice]]],
) -> dict[str, Artifact]:
    """Measure distances of all methods at their chosen thresholds."""
    keys = {
        name: {
            "version": VERSIONS["scores"],
            "maps": artifact.digest,
            "choices": {c: [asdict(x) for x in chosen] for c, chosen in choices[name].items()},
        }
        for name, artifact in mapped.items()
    }

    def make(folders: dict[str, Path]) -> set[str]:
        files = {name: MapFiles.open(mapped[name].folder) for name in folders}
        with context.reporter.stage(f"surface distances of {', '.join(folders)}") as tick:
            scored = score_cases(prepared, files, choices, tick)
        for name, folder in folders.items():
            pd.DataFrame.from_records(scored[name]).to_parquet(folder / SCORES, index=False)
        return set(folders)

    return context.store.get_all("scores", keys, make)


def _weights_digest(config: BenchConfig) -> str:
    """What the starting weights depend on: the content of a file, or timm's tag."""
    weights = config.backbone.weights
    if isinstance(weights, Path) and weights.is_file():
        return hashlib.sha256(weights.read_bytes()).hexdigest()
    return str(weights)
