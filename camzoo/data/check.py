"""All faults of a data set at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from camzoo.core.choices import SliceChoice
from camzoo.core.errors import DataError
from camzoo.core.progress import Tick, silent
from camzoo.data.datasets.base import Dataset
from camzoo.data.loading import load_case
from camzoo.data.notes import Note, told
from camzoo.data.plane import describe_slices
from camzoo.data.stats import CaseStats, case_stats, remarks
from camzoo.data.volume import Volume


@dataclass(frozen=True)
class Fault:
    """What is wrong.

    Attributes:
        cases: Ids of the cases it concerns; none where the folder as a whole is at fault.
        message: What was expected, what came, in which file, what to do.
    """

    cases: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class CheckReport:
    """What :func:`check_dataset` found.

    Attributes:
        tried: Number of cases.
        faults: Faults in the order of the cases; copies last.
        remarks: What is no fault, but must be known to whoever reads the numbers.
        planes: How the cases without faults are cut, in words; empty without any.
    """

    tried: int
    faults: tuple[Fault, ...]
    remarks: tuple[str, ...]
    planes: str


def check_dataset(
    dataset: Dataset, tick: Tick = silent, slices: SliceChoice = SliceChoice.ACQUIRED
) -> CheckReport:
    """Read every case and collect everything that is wrong.

    Two cases with the same image are a fault: on two sides of a split they leak the test set into
    training (PROMISE12 and NCI-ISBI 2013 share hospitals).
    """
    try:
        cases = dataset.cases()
    except DataError as error:
        return CheckReport(0, (Fault((), str(error)),), (), "")
    faults: list[Fault] = []
    good: list[CaseStats] = []
    noted: list[tuple[str, Note]] = []
    by_content: dict[str, list[str]] = {}
    for done, case in enumerate(cases, start=1):
        try:
            loaded = load_case(dataset, case)
        except DataError as error:
            faults.append(Fault((case.id,), str(error)))
        else:
            good.append(case_stats(loaded, len(dataset.organs), slices))
            noted += [(case.id, note) for note in loaded.notes]
            by_content.setdefault(content_hash(loaded.image), []).append(case.id)
        tick(done, len(cases))
    faults += _copies(by_content)
    planes = describe_slices([case.stack for case in good], slices) if good else ""
    found = (*dataset.notes(), *told(noted), *remarks(good))
    return CheckReport(len(cases), tuple(faults), found, planes)


def content_hash(image: Volume) -> str:
    """Hash the grey values on the canonical grid: equal for the same scan in another format."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image.array, dtype=np.float32).data)
    return digest.hexdigest()


def _copies(by_content: Mapping[str, Sequence[str]]) -> list[Fault]:
    return [
        Fault(
            tuple(cases),
            f"cases {', '.join(cases)} hold the same image: keep one of them, or a patient may "
            "stand in training and in test at once",
        )
        for cases in by_content.values()
        if len(cases) > 1
    ]
