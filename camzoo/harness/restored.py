"""A cell of a finished run, put together again from its store: nothing is trained or made anew."""

from __future__ import annotations

from pathlib import Path

from camzoo.config import BenchConfig, load_config
from camzoo.core.checksums import file_digest
from camzoo.core.environment import choose_device
from camzoo.core.errors import ConfigError, DataError
from camzoo.core.progress import Reporter
from camzoo.core.text import plain
from camzoo.data.slices import Prepared
from camzoo.data.splits import Split
from camzoo.harness.cells import Cell, Trained
from camzoo.harness.context import Context
from camzoo.harness.manifest import STORE, CellFacts, Manifest
from camzoo.harness.stages import TRAIN
from camzoo.harness.store import Artifact, Store, fault_of
from camzoo.harness.workers.train import read_classifier


def restore_cell(
    folder: Path,
    manifest: Manifest,
    cell: CellFacts,
    prepared: Prepared,
    *,
    weights: Path | None,
    device: str,
    reporter: Reporter,
) -> Cell:
    """Open a fold and seed of a run, with its trained classifier.

    Args:
        folder: Of the run; the store is expected beside it.
        manifest: Its manifest.
        cell: Fold and seed.
        prepared: Its slices.
        weights: The file that the classifier started from, where it did from one: layers are built
            as that file asks for.
        device: Where to compute: "auto", "cpu", "cuda" or "cuda:N".
        reporter: Who is told.

    Raises:
        ConfigError: The classifier is not in the store, or ``weights`` are not those of the run.
        DataError: The classifier is damaged.
    """
    config = _config(manifest, weights)
    place = choose_device(device)
    store = Store(folder.parent / STORE, reporter, place)
    context = Context(config, store, place, reporter)
    artifact = _trained(store, cell)
    classifier, history = read_classifier(
        artifact.folder, context.config.backbone, len(prepared.index.organs), seed=cell["seed"]
    )
    subsets = manifest["splits"][str(cell["fold"])]
    cases = {name: tuple(subsets[name]) for name in ("train", "val", "test")}
    split = Split(config.data.split, cell["fold"], **cases)
    trained = Trained(artifact, classifier.to(context.device), history)
    return Cell(context, prepared, split, cell["seed"], trained)


def _config(manifest: Manifest, weights: Path | None) -> BenchConfig:
    """Settings of the run, with the place of its weights; those of timm need not be had again.

    Raises:
        ConfigError: Other weights are given, or none where they are needed.
    """
    config, facts = load_config(manifest["config"]), manifest.get("weights", {})
    named = config.backbone.weights
    if not isinstance(named, Path):
        return config.changed({"backbone.weights": "none"})
    if weights is None:
        raise ConfigError(
            f"{manifest['run']} started from the weights {plain(named)}, and layers are built as "
            "they ask for: give that file with --weights"
        )
    if not weights.is_file():
        raise ConfigError(f"no weights at {weights}; give the file {plain(named)} of the run")
    if file_digest(weights) != facts.get("sha256", file_digest(weights)):
        raise ConfigError(
            f"{weights} holds other weights than {plain(named)}, which {manifest['run']} started "
            "from: give that file"
        )
    return config.changed({"backbone.weights": str(weights)})


def _trained(store: Store, cell: CellFacts) -> Artifact:
    digest = cell.get("classifier", "")
    artifact = Artifact(store.root / TRAIN.name / digest, digest)
    if not digest or not artifact.folder.is_dir():
        raise ConfigError(
            f"the classifier of fold {cell['fold']}, seed {cell['seed']} is not in {store.root}; "
            "the same bench again makes it"
        )
    if fault := fault_of(artifact.folder):
        raise DataError(f"{fault}; the same bench again makes it anew")
    return artifact
