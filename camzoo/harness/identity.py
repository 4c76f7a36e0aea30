"""What a run is: its name follows from the data, the weights and the settings.

Neither where files lie nor what they are called says what numbers come out. Their content does.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timm.models import get_pretrained_cfg

from camzoo.config import LATER, BackboneConfig, BenchConfig
from camzoo.core.checksums import file_digest
from camzoo.core.names import require_name
from camzoo.data.datasets import Dataset
from camzoo.data.slices import PreparedIndex
from camzoo.harness.manifest import SHORT, WeightsFacts
from camzoo.harness.naming import content_name


@dataclass(frozen=True)
class Identity:
    """All that a run depends on.

    Attributes:
        run: Its name: own name of the data set, preset, hash of everything.
        dataset: Own name of the data set (:attr:`camzoo.data.datasets.Dataset.own_name`).
        data: Digest of its scans and labels.
        weights: What the classifier starts from.
        lineage: Hash of everything but the reference labels. Two runs of one lineage differ in
            nothing but labels that were corrected.
    """

    run: str
    dataset: str
    data: str
    weights: WeightsFacts
    lineage: str

    @property
    def short_data(self) -> str:
        """The beginning of the digest of the data, as rows and tables show it."""
        return self.data[:SHORT]


def identify(config: BenchConfig, dataset: Dataset, index: PreparedIndex) -> Identity:
    """Say which run it is.

    Args:
        config: With the precisions that are computed in.
        dataset: Its data set.
        index: What was read of it.

    Raises:
        ConfigError: The data set's own name is none.
    """
    start = beginning(config, dataset)
    weights = starting_weights(config.backbone)
    settings = _settings(config)
    settings["backbone"]["weights"] = content_of(weights)
    own = dataset.own_name
    lineage = _hash([settings, own, list(index.organs), index.images])
    run = f"{start}-{_hash([lineage, index.labels])[:SHORT]}"
    return Identity(run, own, index.data, weights, lineage)


def beginning(config: BenchConfig, dataset: Dataset) -> str:
    """The part of a run's name that is known before any data is read.

    Raises:
        ConfigError: It cannot be the name of a folder on every system.
    """
    own = require_name(dataset.own_name, f"the own name of the data set {config.data.name!r}")
    start = f"{own}-{config.preset}"
    require_name(f"{start}-{'0' * SHORT}", "the name of the run, made of data set and preset,")
    return start


def starting_weights(config: BackboneConfig) -> WeightsFacts:
    """What a classifier starts from: a file by its content, or the tag that timm gives weights."""
    weights = config.weights
    if isinstance(weights, Path):
        return {"file": weights.name, "sha256": file_digest(weights)}
    if weights == "none":
        return {"tag": weights}
    known = get_pretrained_cfg(config.name)
    return {"tag": f"{known.architecture}.{known.tag}" if known else config.name}


def content_of(weights: WeightsFacts) -> str:
    """What a result depends on of weights: not the name of a file."""
    return weights["sha256"] if "sha256" in weights else weights["tag"]


def _settings(config: BenchConfig) -> dict[str, Any]:
    """The settings that numbers depend on.

    Without baselines there is no segmentation, and its settings say nothing; nor do settings that
    came later while they are as runs from before had them.
    """
    tree = config.without_places()
    del tree["device"], tree["threads"]
    tree["methods"] = [content_name(text) for text in config.methods]
    for setting, before in LATER.items():
        section, name = setting.split(".")
        if tree[section][name] == before:
            del tree[section][name]
    if not config.baselines:
        del tree["baselines"], tree["segmentation"]
    return tree


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
