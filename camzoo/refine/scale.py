"""Distances of C-CAM's lineage, in pixels of 512 x 512 slices, on slices of another side."""

from __future__ import annotations

from typing import Final

#: Side in pixels of the slices that the lineage's distances are meant for.
LINEAGE_SIDE: Final = 512


def shrunk(distance: float, side: int) -> float:
    """Return a distance of the lineage in pixels of slices of ``side``."""
    return distance * (side / LINEAGE_SIDE)


def shrunk_radius(radius: float, side: int) -> int:
    """Return a radius of pairs likewise, in whole pixels; 2 or more."""
    return max(2, round(shrunk(radius, side)))
