"""Overlap and distances in millimetres: of maps at chosen thresholds, and of labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from camzoo.cams.map_files import MapFiles
from camzoo.core.progress import Tick, silent
from camzoo.core.stored import read_frame
from camzoo.data.slices import CaseInfo, Prepared
from camzoo.evaluate.choose import Choice
from camzoo.metrics.case import CaseReference
from camzoo.metrics.subregions import thirds
from camzoo.metrics.sweep import apply_threshold

#: File of partial result rows in the folder of a stage.
SCORES: Final = "scores.parquet"
#: Organs that are also scored by apex, mid and base (PROMISE12).
THIRDS: Final = frozenset({"prostate"})


def score_cases(
    prepared: Prepared,
    maps: Mapping[str, MapFiles],
    choices: Mapping[str, Mapping[str, Sequence[Choice]]],
    tick: Tick = silent,
) -> dict[str, list[dict[str, Any]]]:
    """Score all methods case by case, so that each reference surface is built once.

    Args:
        prepared: Cases and their masks.
        maps: By method.
        choices: By method and case; a case without any is left out.
        tick: Told (cases done, cases in all).

    Returns:
        By method: partial result rows (organ, case, numbers), without the columns of the cell.
    """
    masks = prepared.vault.for_evaluation()
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in maps}
    for done, info in enumerate(prepared.index.cases):
        wanted = {name: choices[name][info.id] for name in maps if info.id in choices[name]}
        if wanted:
            reference = _Reference(info, masks.label(info.id), prepared.index.organs)
            for name, chosen in wanted.items():
                records[name] += reference.score(maps[name].volume(info), chosen)
        tick(done + 1, len(prepared.index.cases))
    return records


def score_labels(
    prepared: Prepared,
    predicted: Mapping[str, Callable[[CaseInfo], NDArray[np.uint8]]],
    cases: Sequence[str],
    tick: Tick = silent,
) -> dict[str, list[dict[str, Any]]]:
    """Score label volumes case by case.

    Args:
        prepared: Cases and their masks.
        predicted: By method: gives the labels [z, y, x] of a case on the grid of its scan.
        cases: Which to score.
        tick: Told (cases done, cases in all).

    Returns:
        By method: partial result rows (organ, case, numbers), without the columns of the cell.
    """
    masks = prepared.vault.for_evaluation()
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in predicted}
    for done, case in enumerate(cases):
        info = prepared.cases[case]
        reference = _Reference(info, masks.label(case), prepared.index.organs)
        for name, labels_of in predicted.items():
            records[name] += reference.measure(labels_of(info))
        tick(done + 1, len(cases))
    return records


def read_scores(folder: Path) -> list[dict[str, Any]]:
    """Read the partial result rows that a stage stored in ``folder``."""
    frame = read_frame(folder / SCORES, {"organ": "text", "case": "text", "tp": "int"})
    return [{str(column): v for column, v in row.items()} for row in frame.to_dict("records")]


class _Reference:
    """The masks of a case, ready to be compared with."""

    def __init__(self, info: CaseInfo, label: NDArray[np.uint8], organs: Sequence[str]) -> None:
        self._info = info
        self._organs = {
            organ: _organ(organ, label == c, info) for c, organ in enumerate(organs, start=1)
        }

    def score(self, maps: Tensor, choices: Sequence[Choice]) -> list[dict[str, Any]]:
        """Rows of one method: one per choice, organ and region."""
        rows = []
        for threshold in dict.fromkeys(choice.threshold for choice in choices):
            measured = self.measure(apply_threshold(maps.numpy(), threshold))
            rows += [
                row | {"subset": c.subset, "protocol": c.protocol, "threshold": threshold}
                for c in choices
                if c.threshold == threshold
                for row in measured
            ]
        return rows

    def measure(self, label: NDArray[np.uint8]) -> list[dict[str, Any]]:
        """Rows of a label volume [z, y, x]: one per organ and region."""
        case = {"case": self._info.id, "patient": self._info.patient}
        return [
            case | {"organ": organ} | row
            for c, (organ, reference) in enumerate(self._organs.items(), start=1)
            for row in reference.measure(label == c)
        ]


def _organ(organ: str, mask: NDArray[np.bool_], info: CaseInfo) -> CaseReference:
    regions = thirds(mask, np.array(info.affine)) if organ in THIRDS and mask.any() else None
    return CaseReference(mask, info.spacing, regions=regions)
