"""Apex, mid and base of the prostate: thirds of its extent along the body.

PROMISE12 scores the caudal third (apex) and the cranial third (base) apart from the whole, because
the ends of the gland are the hardest to outline. Which end is which comes from the direction
cosines, never from the order of the slices in the file, nor from the plane of slices: in a coronal
stack the thirds follow each other within the slices.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import GeometryError
from camzoo.metrics.overlap import as_mask

WHOLE: Final = "whole"
#: From the feet to the head.
THIRDS: Final = ("apex", "mid", "base")
#: Cosine of the largest angle between the slice axis and the body axis: 45 degrees.
_UPRIGHT: Final = np.sqrt(0.5)


def thirds(reference: NDArray[Any], affine: NDArray[np.floating[Any]]) -> dict[str, slice]:
    """Return the slices of apex, mid and base of a reference mask.

    Of n slices from its first to its last one, ⌊n/3⌋ are apex, ⌊(n+1)/3⌋ base, the rest mid.

    Args:
        reference: Canonical, shape [z, y, x], binary, not cropped.
        affine: Shape [4, 4], from index (z, y, x, 1) to mm in RAS+.

    Returns:
        A slice of the first axis per region; empty slices where there are too few, or no
        reference.

    Raises:
        DataError: The mask is not binary.
        GeometryError: The slices do not follow each other along the body, so that "towards the
            head" has no meaning.
    """
    upwards = _points_to_the_head(np.asarray(affine))
    mask = as_mask(reference, "reference")
    hit = np.flatnonzero(mask.any(axis=(1, 2)))
    if not hit.size:
        return {region: slice(0, 0) for region in THIRDS}
    first, last = int(hit[0]), int(hit[-1]) + 1
    n = last - first
    sizes = {"apex": n // 3, "base": (n + 1) // 3}
    sizes["mid"] = n - sizes["apex"] - sizes["base"]
    regions, start = {}, first
    for region in THIRDS if upwards else THIRDS[::-1]:
        regions[region] = slice(start, start + sizes[region])
        start += sizes[region]
    return {region: regions[region] for region in THIRDS}


def crop(mask: NDArray[np.bool_], region: slice) -> NDArray[np.bool_]:
    """Return a copy of ``mask`` [z, y, x] that is empty outside the slices of ``region``."""
    cropped = np.zeros_like(mask)
    cropped[region] = mask[region]
    return cropped


def _points_to_the_head(affine: NDArray[np.floating[Any]]) -> bool:
    direction = affine[:3, 0] / np.linalg.norm(affine[:3, 0])
    if abs(direction[2]) < _UPRIGHT:
        raise GeometryError(
            "apex, mid and base need axial slices, but the slice axis points along "
            f"{np.round(direction, 3).tolist()} (right, anterior, superior); "
            "bring the volume into canonical orientation first"
        )
    return bool(direction[2] > 0)
