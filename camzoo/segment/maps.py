"""The U-Net on the maps of a CAM method: what its pseudo-masks are worth in the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from camzoo.metrics.sweep import apply_threshold
from camzoo.segment.base import PseudoMaskBaseline

if TYPE_CHECKING:
    from camzoo.cams.map_arrays import MapArrays
    from camzoo.segment.learning_context import BaselineContext

#: Maps that are resized at a time.
_PART = 64


class MapBaseline(PseudoMaskBaseline):
    """The common U-Net on maps, cut at the threshold that is best on validation patients.

    Subclasses name the method; an instance may be given another one.

    Attributes:
        method: CAM method or chain whose maps are read.
    """

    method: ClassVar[str] = ""
    cost = "the U-Net"

    def __init__(self, method: str | None = None) -> None:
        self.reads = (method or self.method,)

    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Cut the maps of the training slices."""
        (method,) = self.reads
        return validated_cut(context, context.maps(method), context.val_maps(method))


def validated_cut(context: BaselineContext, train: MapArrays, val: MapArrays) -> NDArray[np.uint8]:
    """Cut maps of the training slices at the threshold that is best on validation patients.

    Args:
        context: What the baseline was handed.
        train: Finished maps of its training slices.
        val: Those of its validation slices.

    Returns:
        Labels uint8 [N, s, s] on the grid of the U-Net: 0 background, 1..C organs.
    """
    threshold = context.threshold(torch.from_numpy(val.maps).float())
    return cut_maps(train.maps, threshold, context.config.segmentation.side)


def cut_maps(maps: NDArray[np.float16], threshold: float, side: int) -> NDArray[np.uint8]:
    """Resize maps [N, C, s, s] bilinearly, then cut them: labels uint8 [N, side, side].

    The rule is that of the threshold sweep: a constant background plane and argmax.
    """
    labels = np.empty((len(maps), side, side), np.uint8)
    for which, fine in resized_parts(maps, side):
        labels[which] = apply_threshold(fine.transpose(0, 1), threshold).numpy()
    return labels


def resized_parts(maps: NDArray[np.float16], side: int) -> Iterator[tuple[slice, Tensor]]:
    """Resize maps [N, C, s, s] bilinearly, some slices at a time: finer maps are not kept for all.

    Yields:
        Which slices they are, and their maps float32 [b, C, side, side] on the CPU.
    """
    for start in range(0, len(maps), _PART):
        part = torch.from_numpy(np.array(maps[start : start + _PART])).float()
        fine = F.interpolate(part, size=(side, side), mode="bilinear", align_corners=False)
        yield slice(start, start + len(part)), fine
