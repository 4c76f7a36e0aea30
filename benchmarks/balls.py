"""Organs for timing: balls near the middle of a volume."""

from __future__ import annotations

import numpy as np

#: (z, y, x) in mm.
SPACING = (3.0, 0.6, 0.6)


def distance(rng, grid):
    """Distance in mm from a place within two voxels of the middle, of all voxels of a grid."""
    offsets = [
        (np.arange(side) - side / 2 - rng.uniform(-2, 2)) * mm
        for side, mm in zip(grid, SPACING, strict=True)
    ]
    z, y, x = np.ix_(*offsets)
    return np.sqrt(z**2 + y**2 + x**2)


def save(path, values):
    """Write an array, masks as labels; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values.astype(np.uint8) if values.dtype == bool else values)
