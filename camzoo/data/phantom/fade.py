"""The contrast dial: let organs sink into what surrounds them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from camzoo.data.phantom.canvas import TissueMaps
from camzoo.data.phantom.shapes import Field

#: Reach of the in-painting in mm and its weight: the nearest tissue counts, and deep inside a
#: large organ, where the smaller scales see nothing, the next one takes over.
_REACH: Final = ((3.0, 1.0), (6.0, 1e-2), (12.0, 1e-4))
_LAST_RESORT: Final = 1e-9
_MARGIN_MM: Final = 25.0


def fade(maps: TissueMaps, spacing: tuple[float, float], contrast: float) -> TissueMaps:
    """Mix the inside of the organs with an in-painting from their surroundings.

    Args:
        maps: What the slices hold.
        spacing: In-plane voxel size (y, x) in mm.
        contrast: 1 leaves the organs as they are, 0 replaces them by the in-painting.

    Returns:
        The maps, mixed; outside the organs and in the label nothing changes.
    """
    if contrast == 1 or not maps.occupied.any():
        return maps
    box = _around(maps.occupied, spacing)
    # One voxel more than the organ, so that no rim of partial volume outlines what has gone.
    cross = ndimage.generate_binary_structure(3, 1) & (np.arange(3) == 1)[:, None, None]
    covered = ndimage.binary_dilation(maps.occupied[box], cross)
    share = covered * np.float32(1 - contrast)
    faded = maps._replace(
        signal=maps.signal.copy(), grain=maps.grain.copy(), strand=maps.strand.copy()
    )
    views = [channel[box] for channel in (faded.signal, faded.grain, faded.strand)]
    for view, filled in zip(views, _inpaint(views, ~covered, spacing), strict=True):
        view += share * (filled - view)
    return faded


def _around(organ: NDArray[np.bool_], spacing: tuple[float, float]) -> tuple[slice, ...]:
    """The box of the organs with a margin of known tissue."""
    margins = (0, *(int(_MARGIN_MM / s) + 1 for s in spacing))
    found = (np.flatnonzero(organ.any(tuple({0, 1, 2} - {axis}))) for axis in range(3))
    return tuple(
        slice(max(0, int(hit[0]) - margin), int(hit[-1]) + margin + 1)
        for hit, margin in zip(found, margins, strict=True)
    )


def _inpaint(
    channels: list[Field], known: NDArray[np.bool_], spacing: tuple[float, float]
) -> list[Field]:
    """Extend the known voxels of each slice smoothly into the unknown ones."""

    def spread(field: Field) -> Field:
        total: Field = field.mean((1, 2), keepdims=True) * _LAST_RESORT
        for reach, share in _REACH:
            sigma = (0.0, reach / spacing[0], reach / spacing[1])
            total = total + share * ndimage.gaussian_filter(field, sigma)
        return total

    weight = known.astype(np.float32)
    # A slice without any known voxel has nothing to extend: it goes dark.
    norm: Field = np.maximum(spread(weight), 1e-30)
    return [spread(channel * weight) / norm for channel in channels]
