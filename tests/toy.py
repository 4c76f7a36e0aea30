"""Tiny tagged slices that a classifier can learn in seconds."""

import numpy as np

from camzoo.data.slices import TaggedSlices


def toy_slices(count=24, size=64, organs=("bright", "dark"), *, sided=False, seed=0):
    """Noise, with a bright square at the left and a dark one at the right, each in half of them."""
    rng = np.random.default_rng(seed)
    images = rng.integers(90, 130, (count, size, size)).astype(np.uint8)
    tags = np.stack([np.arange(count) % 2, np.arange(count) // 2 % 2], axis=1).astype(np.uint8)
    block = size // 4
    for image, tag in zip(images, tags, strict=True):
        if tag[0]:
            image[block : 2 * block, block // 2 : block // 2 + block] = 250
        if tag[1]:
            image[2 * block : 3 * block, 2 * block : 3 * block] = 5
    return TaggedSlices(
        store=images,
        rows=np.arange(count),
        tags=tags[:, : len(organs)],
        organs=tuple(organs),
        sided=sided,
        cases=(("a", 0, count // 2), ("b", count // 2, count)),
    )
