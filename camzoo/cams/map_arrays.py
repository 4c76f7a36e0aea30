"""Finished maps of one method, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class MapStatus(IntEnum):
    """Why a map is, or is not, evidence. Stored per slice and class."""

    OK = 0
    ABSENT = 1
    ALL_NEGATIVE = 2
    CONSTANT = 3
    NON_FINITE = 4


@dataclass
class MapArrays:
    """Maps of one method for a set of slices, in memory or memory-mapped.

    Attributes:
        maps: float16 [N, C, s, s], normalised.
        status: uint8 [N, C], :class:`MapStatus`.
        peak: float32 [N, C], maximum of the summed evidence before normalisation.
    """

    maps: NDArray[np.float16]
    status: NDArray[np.uint8]
    peak: NDArray[np.float32]

    @classmethod
    def empty(cls, slices: int, classes: int, size: int) -> MapArrays:
        """Allocate for ``slices`` slices."""
        return cls(
            np.zeros((slices, classes, size, size), np.float16),
            np.zeros((slices, classes), np.uint8),
            np.zeros((slices, classes), np.float32),
        )

    def write(self, which: slice, maps: Tensor, status: Tensor, peak: Tensor) -> None:
        """Store maps [b, C, s, s], status and peaks [b, C] of slices ``which``."""
        self.maps[which] = maps.half().cpu().numpy()
        self.status[which] = status.cpu().numpy()
        self.peak[which] = peak.float().cpu().numpy()
