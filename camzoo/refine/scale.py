"""Distances of C-CAM's lineage, in pixels of 512 x 512 slices, on slices of another side."""

from __future__ import annotations

from typing import Final

#: Side in pixels of the slices that the lineage's distances are meant for.
LINEAGE_SIDE: Final = 512


def shrunk(distance: float, side: int) -> float:
    """Return a distance of the lineage in pixels of slices of ``side``."""
    return distance * (side / LINEAGE_SIDE)


def pair_radius(radius: float, side: int) -> int:
    """Return a radius of pairs likewise, in whole pixels; 2 or more.

    Pairs lie strictly within their radius (:func:`camzoo.refine.neighbours.half_plane`), so what
    shrinks is the farthest step along an axis, radius - 1.
    """
    return 1 + max(1, round(shrunk(radius - 1, side)))
