"""Masks to measure on, by formula alone: the same voxels with every version of every library."""

from __future__ import annotations

import numpy as np

#: (z, y, x) in mm, as an axial T2 series of the prostate has it.
SPACING = (3.0, 0.625, 0.6)
SHAPE = (32, 320, 320)


def organ(centre=(16.0, 160.0, 160.0), radius=(10.0, 46.0, 46.0), wobble=0.1, phase=0.0):
    """Return an ellipsoid with a wavy surface, shape [32, 320, 320]; sizes in voxels."""
    z, y, x = (
        (axis - c) / r
        for axis, c, r in zip(np.ogrid[tuple(map(slice, SHAPE))], centre, radius, strict=True)
    )
    wave = np.cos(3 * np.arctan2(y, x) + phase) + np.cos(4 * z + 2 * phase)
    return z**2 + y**2 + x**2 < (1 + wobble * wave) ** 2


def predictions(count):
    """Return masks from close to the reference (DSC .9) to far off, as maps and thresholds give."""
    return [
        organ(
            centre=(16.0 + 3 * k, 160.0 + 22 * k, 160.0 - 18 * k),
            radius=(10.0 - 3 * k, 46.0 + 20 * k, 46.0 + 12 * k),
            wobble=0.1 + 0.15 * k,
            phase=1.0 + 5 * k,
        )
        for k in np.linspace(0, 1, count)
    ]


def with_stray_voxel(mask):
    """Return the mask plus one voxel in the far corner: what a single false positive does."""
    stray = mask.copy()
    stray[0, 0, 0] = True
    return stray
