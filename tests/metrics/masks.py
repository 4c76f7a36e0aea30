"""Random pairs of masks of the kinds that break surface distances."""

import numpy as np
from scipy import ndimage


def random_pair(rng):
    """Return prediction, reference, spacing: non-cubic, anisotropic, neither mask empty."""
    shape = tuple(int(n) for n in rng.permutation([rng.integers(3, 9), *rng.integers(8, 26, 2)]))
    spacing = tuple(float(s) for s in rng.uniform(0.3, 5.0, 3))
    pred, ref = _random_mask(rng, shape), _random_mask(rng, shape)
    return pred, ref, spacing


def _random_mask(rng, shape):
    kind = rng.choice(["blobs", "noise", "voxel", "border", "parts"])
    mask = np.zeros(shape, dtype=bool)
    if kind == "blobs":
        smooth = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
        mask = smooth > np.quantile(smooth, rng.uniform(0.4, 0.95))
    elif kind == "noise":
        mask = rng.random(shape) < rng.uniform(0.02, 0.9)
    elif kind == "voxel":
        mask[tuple(rng.integers(0, shape))] = True
    elif kind == "border":
        mask[tuple(slice(0, int(rng.integers(1, n + 1))) for n in shape)] = True
    else:
        for _ in range(4):
            start = rng.integers(0, shape)
            mask[tuple(slice(int(s), int(s) + 3) for s in start)] = True
    if not mask.any():
        mask[tuple(n // 2 for n in shape)] = True
    return mask


def ball(shape, centre, radius):
    """Return an ellipsoid of ``radius`` voxels per axis."""
    grid = np.ogrid[tuple(slice(0, n) for n in shape)]
    parts = zip(grid, centre, radius, strict=True)
    return sum(((g - c) / r) ** 2 for g, c, r in parts) <= 1
