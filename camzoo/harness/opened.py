"""A run before its first result: names, data, folds and network found good, and nothing made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from camzoo.cams.pipeline import input_side
from camzoo.cams.view.viewer import Viewer
from camzoo.config import BenchConfig
from camzoo.core.environment import choose_device
from camzoo.core.errors import ConfigError
from camzoo.core.progress import Reporter
from camzoo.core.spec import require_once, split_settings
from camzoo.data.datasets import Dataset
from camzoo.data.external import ExternalTest
from camzoo.data.limit import limited
from camzoo.data.opening import open_dataset
from camzoo.data.splits import Split, make_split
from camzoo.harness.context import Context
from camzoo.harness.identity import beginning
from camzoo.harness.manifest import STORE
from camzoo.harness.plugins import load_plugins
from camzoo.harness.store import Store
from camzoo.network.backbone import build_classifier, require_sides


@dataclass(frozen=True)
class OpenRun:
    """A run that can begin.

    Attributes:
        context: What all its stages share.
        dataset: Its cases.
        splits: Cases per subset, by fold.
        notes: What the backbone does not do as it was wished, a line for each.
    """

    context: Context
    dataset: Dataset
    splits: Mapping[int, Split]
    notes: tuple[str, ...]


def open_context(
    config: BenchConfig, out: Path, reporter: Reporter, *, computes: bool = True
) -> Context:
    """Find the device, the store, and all methods and baselines.

    Args:
        config: Configuration of the run.
        out: Folder of runs.
        reporter: Who is told.
        computes: Whether results are to be made; without, a device that is named need not be here.

    Raises:
        ConfigError: One of them cannot be had.
    """
    load_plugins(config.plugins)
    there = computes or config.device == "auto"
    device = choose_device(config.device) if there else torch.device(config.device)
    context = Context(config, Store(out / STORE, reporter, device), device, reporter)
    require_names(context)
    return context


def open_run(context: Context) -> OpenRun:
    """Find all that is wrong with a run before hours are spent on it.

    Raises:
        CamzooError: Something is.
    """
    config = context.config
    dataset = open_limited(config)
    beginning(config, dataset)
    splits = splits_of(config, dataset)
    return OpenRun(context, dataset, splits, require_network(config, dataset))


def open_limited(config: BenchConfig) -> Dataset:
    """Open the data set of a run, or both where another one tests, with as many cases as it takes.

    Raises:
        CamzooError: One cannot be opened, or two do not fit each other.
    """
    data = config.data
    dataset = open_dataset(data.name, data.root, data.options)
    if data.test is not None:
        name, options = split_settings(data.test)
        dataset = ExternalTest(dataset, open_dataset(name, data.test_root, options))
    return dataset if data.limit is None else limited(dataset, data.limit, seed=data.split_seed)


def splits_of(config: BenchConfig, dataset: Dataset) -> dict[int, Split]:
    """Divide the cases of a run, by fold."""
    data = config.data
    return {
        fold: make_split(dataset, data.split, fold=fold, seed=data.split_seed, k=data.k_folds)
        for fold in data.folds
    }


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
