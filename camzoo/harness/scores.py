"""Distances in millimetres at the thresholds that the protocols chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from camzoo.data.slices import CaseInfo, Prepared
from camzoo.harness.map_files import MapFiles
from camzoo.harness.protocols import Choice
from camzoo.metrics.overlap import dice
from camzoo.metrics.surface import ReferenceSurface
from camzoo.metrics.sweep import apply_threshold
from camzoo.progress import Tick, silent


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


class _Reference:
    """The masks of a case, ready to be compared with."""

    def __init__(self, info: CaseInfo, label: NDArray[np.uint8], organs: Sequence[str]) -> None:
        self._info = info
        self._masks = {organ: label == c for c, organ in enumerate(organs, start=1)}
        self._surfaces = {
            organ: ReferenceSurface(mask, info.spacing) for organ, mask in self._masks.items()
        }

    def score(self, maps: Tensor, choices: Sequence[Choice]) -> list[dict[str, Any]]:
        """Rows of one method: one per choice and organ."""
        rows = []
        for threshold in dict.fromkeys(choice.threshold for choice in choices):
            label = apply_threshold(maps.numpy(), threshold)
            scored = [self._row(organ, label == c) for c, organ in enumerate(self._masks, start=1)]
            rows += [
                row | {"subset": c.subset, "protocol": c.protocol, "threshold": threshold}
                for c in choices
                if c.threshold == threshold
                for row in scored
            ]
        return rows

    def _row(self, organ: str, prediction: NDArray[np.bool_]) -> dict[str, Any]:
        mask, info = self._masks[organ], self._info
        distances = self._surfaces[organ].distances(prediction)
        tp = int(np.count_nonzero(prediction & mask))
        n_pred, n_ref = int(np.count_nonzero(prediction)), int(np.count_nonzero(mask))
        return {
            "organ": organ,
            "region": "whole",
            "case": info.id,
            "patient": info.patient,
            "tp": tp,
            "n_pred": n_pred,
            "n_ref": n_ref,
            "dsc": float(dice(tp, n_pred, n_ref)),
            "asd_mm": distances.asd,
            "mad_mm": distances.mad,
            "mad_reverse_mm": distances.mad_reverse,
            "assd_mm": distances.assd,
            "hd_mm": distances.hd,
            "hd95_mm": distances.hd95,
            "diagonal_mm": info.diagonal_mm,
            "status": distances.status,
            "spacing_z": info.spacing[0],
            "spacing_y": info.spacing[1],
            "spacing_x": info.spacing[2],
        }
