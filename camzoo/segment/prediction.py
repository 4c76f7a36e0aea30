"""From the slices of a case to its label volume on the grid of the scan."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camzoo.core.errors import DataError
from camzoo.data.slices import CaseInfo
from camzoo.segment.base import Baseline

#: By how much probabilities of half precision may miss a sum of 1.
_ROUNDING: Final = 0.02


@torch.no_grad()
def predict_volume(
    baseline: Baseline, images: Tensor, info: CaseInfo, *, organs: int, batch: int
) -> NDArray[np.uint8]:
    """Segment a case.

    Probabilities are brought to the grid of the scan before the argmax: resized labels would have
    steps.

    Args:
        baseline: Baseline that has learnt.
        images: All slices of the case on the working grid, uint8 [n, S, S].
        info: Geometry of the case.
        organs: C.
        batch: Slices at a time.

    Returns:
        uint8 [z, y, x]: 0 background, 1..C organs.

    Raises:
        DataError: The baseline predicts something else than class probabilities.
    """
    labels = []
    for part in images.split(batch):
        probabilities = baseline.predict(part)
        _require_probabilities(baseline, probabilities, (len(part), organs + 1))
        fine = info.letterbox.from_grid(probabilities)
        labels.append(fine.argmax(dim=1).to("cpu", torch.uint8))
    return np.ascontiguousarray(info.plane.restore(torch.cat(labels).numpy()))


def _require_probabilities(baseline: Baseline, got: Tensor, leading: tuple[int, int]) -> None:
    shape = tuple(got.shape)
    square = len(shape) == 4 and shape[2] == shape[3]
    if not square or shape[:2] != leading:
        raise DataError(
            f"{baseline.name}.predict: expected probabilities [{leading[0]}, {leading[1]}, s, s] "
            f"of slices and classes, background first, got {list(shape)}"
        )
    if not got.is_floating_point():
        raise DataError(
            f"{baseline.name}.predict: expected probabilities, got {got.dtype}, which has no "
            "fractions"
        )
    # NaN fails both comparisons. One value goes to the host, once per batch.
    proper = (got.amin() >= 0) & ((got.float().sum(dim=1) - 1).abs().amax() <= _ROUNDING)
    if not bool(proper):
        raise DataError(
            f"{baseline.name}.predict: expected finite probabilities that sum to 1 over the "
            "classes; return the softmax, not logits"
        )
