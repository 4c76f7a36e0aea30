"""SizeLoss: a few marked pixels per organ, and bounds on its size.

Kervadec et al., "Constrained-CNN losses for weakly supervised segmentation", MedIA 2019. Cross-
entropy on marks inside the organs, and a penalty on predicted sizes out of common bounds. It is no
method of image-level labels: the marks are cut from reference masks and the bounds are knowledge.

What differs from the paper, and why:

- The network and its recipe are those of all baselines, so that what differs is the supervision.
- Several organs share one softmax; the paper has one. Cross-entropy and penalty are means over
  organs, so that a small one counts as much as a large one.
- Gradients are clipped, as for all baselines: at the start the penalty's is a hundred times that of
  the marks, and what Adam remembers of it would slow down hundreds of steps.
- Sizes are measured in pixels at 256 x 256, the grid of the paper, whatever the network's grid.
- Marks are drawn on the network's grid; a disc's width and the most erosions scale with its side.
- Rotated views have background outside of the slice. Those pixels are no marks and are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt
from torch import Tensor

from camzoo.core.errors import ConfigError
from camzoo.core.supervision import Supervision
from camzoo.data.labels import UNKNOWN
from camzoo.segment.base import UNetBaseline, register_baseline
from camzoo.segment.losses import balanced_cross_entropy
from camzoo.segment.supervised import reference_labels
from camzoo_baselines.sizes import bounds_of, organ_sizes, size_penalty

if TYPE_CHECKING:
    from camzoo.segment.learning_context import BaselineContext

#: Side of the paper's slices, that its widths and counts are meant for.
_SIDE: Final = 256


@register_baseline("sizeloss")
class SizeLoss(UNetBaseline):
    """Learns from marks inside organs and bounds on their size (Kervadec et al., MedIA 2019).

    Args:
        bounds: Lower and upper bound of organs in pixels at 256 x 256, in the place of common ones.
        weight: Weight of the size penalty.
        discs: Organs that are marked with a disc around a random pixel of them; the others with
            what is left of them when they are eroded.
        disc_width: Width of the disc in pixels at 256 x 256.
        erosions: Most erosions by 3 x 3, at 256 x 256; fewer where nothing would be left.
    """

    title = "SizeLoss (seed + size)"
    paper = "Kervadec, MedIA 2019"
    supervision = Supervision.IMAGE_SEED
    cost = "the U-Net"

    def __init__(
        self,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        weight: float = 1e-2,
        discs: Collection[str] = ("prostate",),
        disc_width: float = 4.0,
        erosions: int = 10,
    ) -> None:
        if weight < 0 or disc_width < 0 or erosions < 0:
            raise ConfigError(
                "sizeloss: weight, disc_width and erosions must not be negative, got "
                f"{weight}, {disc_width} and {erosions}"
            )
        self._bounds, self._weight = dict(bounds or {}), weight
        self._discs, self._disc_width, self._erosions = frozenset(discs), disc_width, erosions

    def fit(self, context: BaselineContext) -> None:
        """Draw marks and train the common U-Net."""
        lower, upper = bounds_of(context.train.organs, self._bounds)
        loss = SeedAndSize(lower.to(context.device), upper.to(context.device), self._weight)
        self.learn(context, self.seeds(context), loss)

    def seeds(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Mark the organs that tags show: uint8 [N, s, s], UNKNOWN where no mark is."""
        side = context.config.segmentation.side
        marks = np.full((len(context.train), side, side), UNKNOWN, np.uint8)
        labels = reference_labels(context, side)
        for label, mark, tags in zip(labels, marks, context.train.tags, strict=True):
            for number, organ in enumerate(context.train.organs, start=1):
                place = label == number
                # Too few pixels for a tag: there the penalty says that nothing is there.
                if tags[number - 1] > 0 and place.any():
                    mark[self._seed(place, organ in self._discs, context.generator)] = number
        return marks

    def _seed(
        self, mask: NDArray[np.bool_], as_disc: bool, generator: torch.Generator
    ) -> NDArray[np.bool_]:
        scale = len(mask) / _SIDE
        if as_disc:
            return disc(mask, self._disc_width * scale, generator)
        return core(mask, round(self._erosions * scale))


@dataclass(frozen=True)
class SeedAndSize:
    """Cross-entropy on marks, and the size penalty; absent organs have the bounds 0 and 0.

    Attributes:
        lower: Bound of organs that are there, in pixels at 256 x 256, [C].
        upper: Likewise.
        weight: Weight of the penalty, which is a mean over slices and organs.
    """

    lower: Tensor
    upper: Tensor
    weight: float

    def __call__(self, logits: Tensor, labels: Tensor, tags: Tensor) -> Tensor:
        """Return the loss (:data:`camzoo.segment.losses.Loss`)."""
        marks = labels.masked_fill(labels == 0, UNKNOWN)
        sizes = organ_sizes(logits.softmax(dim=1)[:, 1:])
        penalty = size_penalty(sizes, tags * self.lower, tags * self.upper)
        return balanced_cross_entropy(logits, marks) + self.weight * penalty.mean()


def disc(mask: NDArray[np.bool_], width: float, generator: torch.Generator) -> NDArray[np.bool_]:
    """Return a disc around a random pixel of ``mask`` [h, w], clipped to it.

    Args:
        mask: Not empty.
        width: Diameter in pixels; below 2 the disc is the pixel alone.
        generator: Draws the pixel.
    """
    pixels = np.argwhere(mask)
    row, column = pixels[int(torch.randint(len(pixels), (1,), generator=generator))]
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    near: NDArray[np.bool_] = (y - row) ** 2 + (x - column) ** 2 <= (width / 2) ** 2
    return near & mask


def core(mask: NDArray[np.bool_], erosions: int) -> NDArray[np.bool_]:
    """Erode ``mask`` [h, w] by 3 x 3 as often as something is left, ``erosions`` times at most.

    A pixel survives k erosions where its chessboard distance from the outside is more than k.
    """
    depth = distance_transform_cdt(np.pad(mask, 1), metric="chessboard")[1:-1, 1:-1]
    left: NDArray[np.bool_] = depth > min(erosions, int(depth.max()) - 1)
    return left
