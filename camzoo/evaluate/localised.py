"""How well maps point at organs, and how alike they are, on the slices that show the organs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from camzoo.cams.map_files import MapFiles
from camzoo.data.grid import Letterbox
from camzoo.data.slices import Prepared, TaggedSlices, labels_on_grid
from camzoo.metrics.localisation import (
    average_precision,
    energy,
    pointing,
    rank_correlation,
    standard_ranks,
)
from camzoo.metrics.sweep import apply_threshold

#: Columns that say which slice and organ a number is of.
WHERE = ["organ", "case", "slice"]


def localise(
    maps: MapFiles, prepared: Prepared, cases: Sequence[str], threshold: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Look where maps of whole cases point, on the voxels of the scans.

    Args:
        maps: Of all slices of the data set.
        prepared: Slices and masks.
        cases: Cases that are looked at.
        threshold: Background threshold of the masks whose recall is measured; NaN for none.

    Returns:
        A row per slice with an organ: organ, case, slice, pointing, energy, recall (0 to 1),
        empty (1 where the map has no value above 0), area_mm2 and share (of the slice that the
        organ covers). And a row per case and organ: organ, case and average_precision of all voxels
        of these slices together.
    """
    slices, pooled = [], []
    masks = prepared.vault.for_evaluation()
    for case in cases:
        info, labels = prepared.cases[case], masks.slices(case)
        _, height, width = info.plane.arrange(info.spacing)
        tags = prepared.tagged([case]).tags
        fine = {z: maps.slice(info, z).numpy() for z in np.flatnonzero(tags.any(axis=1)).tolist()}
        predicted = {z: apply_threshold(values, threshold) for z, values in fine.items()}
        for number, organ in enumerate(prepared.index.organs):
            there = np.flatnonzero(tags[:, number]).tolist()
            where = {"organ": organ, "case": case}
            for z in there:
                mask, values = labels[z] == number + 1, fine[z][number]
                slices.append(where | {"slice": z} | _of_slice(values, mask, height * width) | {
                    "recall": float((predicted[z] == number + 1)[mask].mean())
                    if np.isfinite(threshold) else np.nan
                })  # fmt: skip
            if there:
                scores = np.stack([fine[z][number] for z in there])
                score = average_precision(scores, labels[there] == number + 1)
                pooled.append(where | {"average_precision": score})
    return pd.DataFrame(slices), pd.DataFrame(pooled)


def _of_slice(values: NDArray[Any], mask: NDArray[np.bool_], voxel_mm2: float) -> dict[str, float]:
    return {
        "pointing": pointing(values, mask),
        "energy": energy(values, mask),
        "empty": float(values.max() <= 0),
        "area_mm2": float(mask.sum() * voxel_mm2),
        "share": float(mask.mean()),
    }


@dataclass(frozen=True)
class OrganMaps:
    """Maps of an organ in the slices of a case that show it, without what lies around the scan.

    Attributes:
        where: Organ and case.
        number: Numbers of the slices in the case, [n].
        rows: Their places among the slices that were looked at, [n].
        column: The organ's place among the classes.
        within: Pixels of the maps that lie on the scan, bool [s, s].
        masks: The organ there, bool [n, P].
    """

    where: dict[str, str]
    number: NDArray[np.int64]
    rows: NDArray[np.int64]
    column: int
    within: NDArray[np.bool_]
    masks: NDArray[np.bool_]

    def pixels(self, maps: NDArray[Any]) -> NDArray[np.float32]:
        """Pixels [n, P] of maps [N, C, s, s] of all slices that were looked at."""
        mine: NDArray[np.float32] = maps[self.rows, self.column][:, self.within].astype(np.float32)
        return mine

    def energies(self, pixels: NDArray[np.float32]) -> NDArray[np.float64]:
        """Share of the mass in the organ, [n]; NaN where its mask is lost on so coarse a grid."""
        pairs = zip(pixels, self.masks, strict=True)
        return np.array([energy(p, mask) if mask.any() else np.nan for p, mask in pairs])

    def table(self, **columns: Any) -> pd.DataFrame:
        """A row per slice: organ, case, slice, and what is given."""
        return pd.DataFrame({**self.where, "slice": self.number, **columns})


def organ_maps(prepared: Prepared, slices: TaggedSlices, side: int) -> Iterator[OrganMaps]:
    """Walk through the cases and organs of slices whose maps have ``side`` pixels along a side.

    Args:
        prepared: Slices and masks.
        slices: Some of its slices.
        side: Side of the maps.
    """
    masks = prepared.vault.for_evaluation()
    for case, start, stop in slices.cases:
        info = prepared.cases[case]
        numbers = slices.rows[start:stop] - info.first
        labels = labels_on_grid(masks, [case], side)[numbers]
        within = _within(info.letterbox, side)
        for column, organ in enumerate(slices.organs):
            there = np.flatnonzero(slices.tags[start:stop, column])
            if len(there):
                mine = (labels[there] == column + 1)[:, within]
                where = {"organ": organ, "case": case}
                yield OrganMaps(where, numbers[there], start + there, column, within, mine)


def agreement(
    one: MapFiles, other: MapFiles, rows: NDArray[np.int64], organs: Sequence[OrganMaps]
) -> pd.DataFrame:
    """Compare two stored sets of maps of the same slices by rank correlation.

    Args:
        one: Maps of all slices of the data set.
        other: Likewise.
        rows: Which of them are looked at.
        organs: Cases and organs in these (:func:`organ_maps`).

    Returns:
        organ, case, slice and correlation; a row per slice with an organ.
    """
    first, second = one.maps[rows], other.maps[rows]
    found = []
    for organ in organs:
        ranks = (standard_ranks(organ.pixels(maps)) for maps in (first, second))
        found.append(organ.table(correlation=rank_correlation(*ranks)))
    return pd.concat(found, ignore_index=True)


def _within(box: Letterbox, side: int) -> NDArray[np.bool_]:
    """Pixels of the square grid that lie on the scan, bool [side, side]."""
    ones = torch.ones(1, box.height, box.width, dtype=torch.uint8)
    return np.asarray(box.labels_to_grid(ones, side)[0].numpy() > 0)
