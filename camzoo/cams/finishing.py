"""From evidence to finished maps: gated by tags, normalised, stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from camzoo.cams.map_arrays import MapArrays, MapStatus
from camzoo.data.slices import TaggedSlices

#: Keeps a division by an empty peak finite. Far below any evidence: IRNet's 1e-5 is not, and would
#: leave the maximum of a timid classifier short of 1.
TINY: Final = torch.finfo(torch.float32).tiny
#: Slices whose finished maps are worked on at a time.
_PART: Final = 64


@dataclass(frozen=True)
class Finisher:
    """Gates and normalises evidence for slices and stores it, whatever the normalisation.

    Attributes:
        slices: The slices, case after case; their parts have to come in order.
        normalisation: One of those of :class:`~camzoo.config.MapsConfig`. For "volume-max" the
            maps of a case are divided when its last slice has come.
    """

    slices: TaggedSlices
    normalisation: str

    def write(self, out: MapArrays, which: slice, evidence: Tensor, gates: Tensor) -> None:
        """Store what becomes of evidence.

        Args:
            out: Arrays for all slices.
            which: The slices that the evidence is for.
            evidence: Non-negative, [b, C, s, s].
            gates: Whether the class is in the slice, bool [b, C].
        """
        out.write(which, *finish(evidence, gates, self.normalisation))
        if self.normalisation == "volume-max":
            for _, start, stop in self.slices.cases:
                if max(start, which.start) < stop <= which.stop:
                    _divide_by_maximum(out, slice(start, stop))


def rewrite(
    source: MapArrays,
    slices: TaggedSlices,
    out: MapArrays,
    change: Callable[[Tensor, slice], Tensor],
    *,
    normalisation: str,
    device: torch.device,
) -> None:
    """Fill ``out`` with changed maps, gated and normalised anew, a part at a time.

    Args:
        source: Finished maps of ``slices``.
        slices: Their tags gate the result.
        out: Arrays of the same shape.
        change: Turns maps [b, C, s, s], float32, and the slice of rows that they belong to into
            evidence.
        normalisation: One of those of :class:`~camzoo.config.MapsConfig`.
        device: Where to compute.
    """
    finisher = Finisher(slices, normalisation)
    for which in slices.parts(_PART):
        maps = torch.from_numpy(np.array(source.maps[which])).to(device).float()
        gates = slices.tag_tensor(which).to(device) > 0
        finisher.write(out, which, change(maps, which), gates)


def finish(evidence: Tensor, gates: Tensor, normalisation: str) -> tuple[Tensor, Tensor, Tensor]:
    """Gate and normalise summed evidence.

    Args:
        evidence: Non-negative sums over views, [B, C, s, s].
        gates: Whether the class is in the slice, bool [B, C].
        normalisation: One of those of :class:`~camzoo.config.MapsConfig`. "volume-max" leaves the
            maps as they are: only the whole volume knows its maximum (:class:`Finisher`).

    Returns:
        Maps [B, C, s, s] without NaN, status [B, C] and raw maxima [B, C].
    """
    peak = evidence.amax(dim=(2, 3))
    low = evidence.amin(dim=(2, 3))
    status = torch.full_like(peak, MapStatus.OK, dtype=torch.uint8)
    status[peak <= 0] = MapStatus.ALL_NEGATIVE
    status[(peak > 0) & (peak == low)] = MapStatus.CONSTANT
    status[~torch.isfinite(peak + low)] = MapStatus.NON_FINITE
    status[~gates] = MapStatus.ABSENT
    usable = (status == MapStatus.OK) | (status == MapStatus.CONSTANT)
    maps = torch.where(usable[:, :, None, None], _normalise(evidence, low, peak, normalisation), 0)
    return maps, status, torch.where(gates, peak, 0).nan_to_num(0, 0, 0)


def _normalise(evidence: Tensor, low: Tensor, peak: Tensor, normalisation: str) -> Tensor:
    low, peak = low[:, :, None, None], peak[:, :, None, None]
    if normalisation == "max":
        return evidence / peak.clamp_min(TINY)
    if normalisation == "min-max":
        return (evidence - low) / (peak - low).clamp_min(TINY)
    return evidence


def _divide_by_maximum(arrays: MapArrays, case: slice) -> None:
    """Divide the maps of a case by the largest evidence for each class, in place."""
    largest = arrays.peak[case].max(axis=0)[None, :, None, None]
    arrays.maps[case] = arrays.maps[case] / np.maximum(largest, TINY)
