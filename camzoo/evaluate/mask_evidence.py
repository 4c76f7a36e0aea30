"""What the masks of a case look like on its scan, without their reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from camzoo.data.grid import Letterbox
from camzoo.data.plane import Plane
from camzoo.metrics.evidence import Evidence, gather

#: Side in pixels of the grid on which slices are looked at, whatever grid scans have: maps are
#: stored no finer by default.
SIDE: Final = 128


def evidence_of(
    maps: NDArray[Any], image: NDArray[Any], plane: Plane, thresholds: Sequence[float]
) -> Evidence:
    """Look at the masks of a case slice by slice.

    Args:
        maps: Shape [C, z, y, x], on the grid of the scan.
        image: The scan [z, y, x], grey values from 0 to 1.
        plane: In which it is cut into slices.
        thresholds: Ascending.

    Raises:
        DataError: Shapes differ.
    """
    grey = np.ascontiguousarray(plane.cut(image), np.float32)
    box = Letterbox(*grey.shape[1:])
    several = [_small(np.ascontiguousarray(plane.cut(one), np.float32), box) for one in maps]
    within = _small(np.ones((1, *grey.shape[1:]), np.float32), box)[0] > 0.5
    # Resizing rounds: a grey value of one may have become a little more.
    small = _small(grey, box).clip(0, 1)
    return gather(np.stack(several, axis=1), small, thresholds, within)


def _small(slices: NDArray[np.float32], box: Letterbox) -> NDArray[np.float32]:
    small: NDArray[np.float32] = box.to_grid(torch.from_numpy(slices), SIDE).numpy()
    return small
