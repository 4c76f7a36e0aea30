"""Distances on feature maps: what a paper counts in cells of its trunk, in cells of this one."""

from __future__ import annotations

import math
from typing import Final

#: Pixels of the input per cell of the trunks of FickleNet and of MDC, a VGG-16 of stride 8.
PAPER_STRIDE: Final = 8


def in_cells(count: float, side: int, grid: int) -> float:
    """Return how many cells of this trunk are as long as some cells of stride 8.

    Args:
        count: Cells of a trunk with a stride of 8 pixels.
        side: Side of the network's input in pixels.
        grid: Side in cells of what this trunk makes of it.
    """
    return count * PAPER_STRIDE * grid / side


def odd(cells: float) -> int:
    """Return the odd number that is nearest, at least 3: the larger one of two that are as near."""
    return max(3, 2 * math.floor(cells / 2) + 1)


def ascending(cells: list[float]) -> list[int]:
    """Round numbers of cells, halves up, and keep them apart: each is larger than the one before.

    Args:
        cells: Ascending.

    Returns:
        Whole numbers from 1 on, as many.
    """
    found: list[int] = []
    for each in cells:
        found.append(max(math.floor(each + 0.5), found[-1] + 1 if found else 1))
    return found
