"""Pseudo-masks as a raw data set of nnU-Net v2, which any program that reads those can learn.

Scans of the training cases stand beside their pseudo-masks, those of the test cases beside their
references, which nnU-Net does not read. Validation patients are left out: their masks have chosen
the threshold. Arrays lie in camzoo's order of axes, and the affine says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camzoo.core.errors import ConfigError
from camzoo.core.files import storing, write_text
from camzoo.core.progress import Reporter
from camzoo.data.labels import UNKNOWN
from camzoo.data.loading import load_case
from camzoo.segment.export import write_volume
from camzoo.students.pseudo_masks import PseudoMasks
from camzoo.submissions.published import Published

#: What nnU-Net finds a raw data set by.
_FOLDER: Final = re.compile(r"Dataset\d{3}_\w+")
_ENDING: Final = ".nii.gz"
_IGNORE: Final = "ignore"
#: Where the pseudo-masks come from.
_ORIGIN: Final = "camzoo.json"


@dataclass(frozen=True)
class RawFolder:
    """The place of a raw data set.

    Attributes:
        path: ``.../DatasetNNN_Name``.

    Raises:
        ConfigError: The folder is called otherwise.
    """

    path: Path

    def __post_init__(self) -> None:
        if _FOLDER.fullmatch(self.path.name) is None:
            raise ConfigError(
                f"{self.path} would not be found by nnU-Net: give --out a folder "
                ".../nnUNet_raw/DatasetNNN_Name, with three digits of your own"
            )

    @property
    def number(self) -> str:
        """NNN, by which nnU-Net's commands call it."""
        return self.path.name.removeprefix("Dataset")[:3]

    @property
    def test_scans(self) -> Path:
        """Scans to be predicted."""
        return self.path / "imagesTs"

    @property
    def references(self) -> Path:
        """Masks that the predictions are scored by."""
        return self.path / "labelsTs"

    @property
    def patients(self) -> Path:
        """Patient of each test case, as ``camzoo score`` takes it."""
        return self.path / "patientsTs.csv"


def write_raw(
    folder: RawFolder,
    published: Published,
    taught: PseudoMasks,
    test: Sequence[str],
    origin: Mapping[str, Any],
    reporter: Reporter,
) -> int:
    """Write the data set.

    Args:
        folder: Is empty or not there.
        published: The run with its data.
        taught: What is to be learnt of its training cases.
        test: Its test cases.
        origin: What else ``camzoo.json`` is to say of the run.
        reporter: Who is told.

    Returns:
        How many voxels of the training cases are not to be learnt.

    Raises:
        ConfigError: The folder holds something.
        DataError: A case cannot be read.
        StorageError: The folder cannot be written.
    """
    path, organs, ignored = folder.path, published.dataset.organs, 0
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ConfigError(f"{path} holds something already; give --out a folder that is not there")
    with storing(path), reporter.stage(f"data set {folder.number}") as tick:
        for part in ("imagesTr", "labelsTr", folder.test_scans.name, folder.references.name):
            (path / part).mkdir(parents=True, exist_ok=True)
        for done, case in enumerate(taught.cases):
            labels = taught.labels(case)
            ignored += int((labels == UNKNOWN).sum())
            # nnU-Net wants the label that is ignored to be the highest.
            labels = np.where(labels == UNKNOWN, len(organs) + 1, labels).astype(np.uint8)
            _write_case(path, "Tr", published, case, labels)
            tick(done + 1, len(taught.cases) + len(test))
        for done, case in enumerate(test, start=len(taught.cases)):
            _write_case(path, "Ts", published, case)
            tick(done + 1, len(taught.cases) + len(test))
        _describe(path, published, taught, origin, ignores=ignored > 0)
        patients = {case: published.cases[case].patient for case in test}
        pd.DataFrame(patients.items(), columns=["case", "patient"]).to_csv(
            folder.patients, index=False
        )
    return ignored


def _write_case(
    path: Path,
    subset: str,
    published: Published,
    case: str,
    labels: NDArray[np.uint8] | None = None,
) -> None:
    """Write a scan with ``labels``, or with its reference."""
    loaded = load_case(published.dataset, published.cases[case])
    affine, reference = loaded.image.affine, loaded.label.array.astype(np.uint8)
    scan = loaded.image.array.astype(np.float32)
    write_volume(path / f"images{subset}" / f"{case}_0000{_ENDING}", scan, affine)
    drawn = reference if labels is None else labels
    write_volume(path / f"labels{subset}" / f"{case}{_ENDING}", drawn, affine)


def _describe(
    path: Path,
    published: Published,
    taught: PseudoMasks,
    origin: Mapping[str, Any],
    *,
    ignores: bool,
) -> None:
    organs, facts = published.dataset.organs, published.dataset.facts
    values = {"background": 0} | {organ: value for value, organ in enumerate(organs, start=1)}
    described = {
        "name": path.name.partition("_")[2],
        "description": f"{facts.title}, labels of training cases: {taught.source}",
        "reference": facts.citation,
        "licence": facts.licence,
        "channel_names": {"0": "MR"},
        "labels": values | ({_IGNORE: len(organs) + 1} if ignores else {}),
        "numTraining": len(taught.cases),
        "file_ending": _ENDING,
    }
    told = {
        **origin,
        "labels": taught.source,
        "supervision": taught.supervision,
        "thresholds": dict(taught.thresholds),
    }
    for name, content in (("dataset.json", described), (_ORIGIN, told)):
        write_text(path / name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
