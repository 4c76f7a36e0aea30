"""The run whose split a submission follows: its record here, and its data in somebody's folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from camzoo.config import BenchConfig, read_config
from camzoo.core.errors import ConfigError, DataError
from camzoo.core.progress import Tick, silent
from camzoo.data.datasets import Dataset
from camzoo.data.datasets.base import Case
from camzoo.data.prepare import data_digest
from camzoo.harness.manifest import MANIFEST, Manifest, read_manifest
from camzoo.harness.opened import open_limited
from camzoo.submissions.bundle import Kind


@dataclass(frozen=True)
class Published:
    """A run with its data.

    Attributes:
        manifest: What the run was.
        config: Its settings, with the folder of the data.
        dataset: Its cases.
    """

    manifest: Manifest
    config: BenchConfig
    dataset: Dataset

    @cached_property
    def cases(self) -> dict[str, Case]:
        """Cases of the data set by name."""
        return {case.id: case for case in self.dataset.cases()}

    def asked(self, kind: Kind, fold: str) -> list[str]:
        """Name the cases that a submission predicts in a fold.

        Raises:
            ConfigError: The run has no such fold.
        """
        splits = self.manifest["splits"]
        if fold not in splits:
            raise ConfigError(
                f"the run {self.manifest['run']} has no fold {fold}, only {', '.join(splits)}"
            )
        split = splits[fold]
        return [*split["test"], *(split["val"] if kind == "maps" else ())]


def open_published(record: Path, root: Path | None, tick: Tick = silent) -> Published:
    """Open the record of a run and its data, and make sure that these are the data.

    Args:
        record: Folder of the record, or of the run.
        root: Folder of the data set; None for one that needs no files.
        tick: Told (cases read, cases in all).

    Raises:
        ConfigError: The record is from before runs wrote down what their data are.
        DataError: The data are others.
    """
    manifest = read_manifest(record)
    if "data" not in manifest["dataset"]:
        raise ConfigError(f"{record} does not say what its data are; choose a newer record")
    config = read_config(record / MANIFEST)
    config = config.changed({"data.root": root}) if root else config
    dataset = open_limited(config)
    found, known = data_digest(dataset, tick), manifest["dataset"]["data"]
    if found != known:
        raise DataError(
            f"the scans and labels under {root} are not those of the run {manifest['run']}: their "
            f"digest is {found[:12]}…, expected {known[:12]}…; take the data set that the record "
            "names, in the version that it was made from"
        )
    return Published(manifest, config, dataset)
