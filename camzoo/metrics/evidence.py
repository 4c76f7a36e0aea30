"""What masks at every threshold look like on their slices, which needs no reference.

As in :mod:`camzoo.metrics.sweep`, a pixel belongs to the class of its largest map, above whatever
threshold lies below that. So one pass gives the counts of all thresholds: of pixels by grey value,
and of the neighbours that an outline passes between. They are kept by slice, because grey values of
one scan are not those of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import DataError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
#: Bins of grey values between 0 and 1.
GREYS: Final = 64


@dataclass(frozen=True, eq=False)
class Evidence:
    """Counts of the masks of N slices, C organs, T thresholds.

    Attributes:
        thresholds: Shape [T], ascending.
        there: Shape [N, C]: whether a slice has a map of an organ. Where its tag does not name the
            organ, it has none, and counts for nothing.
        joint: Shape [N, C, T + 1, GREYS]: pixels by how many thresholds lie below their map, and by
            grey value.
        length: Shape [N, C, T]: pairs of neighbours that the outline passes between.
        step: Shape [N, C, T]: sum over these pairs of how far their grey values differ.
        kept: Shape [N, C, T]: score, 0 to 1, that the classifier gives an organ where it is shown
            the mask alone; None where it was not asked.
        lost: The same where it is shown all but the mask.
    """

    thresholds: FloatArray
    there: BoolArray
    joint: FloatArray
    length: FloatArray
    step: FloatArray
    kept: FloatArray | None = None
    lost: FloatArray | None = None

    @cached_property
    def inside(self) -> FloatArray:
        """Pixels in the mask by grey value, [N, C, T, GREYS]."""
        return above(self.joint)

    @cached_property
    def whole(self) -> FloatArray:
        """Pixels of the slice by grey value, [N, C, 1, GREYS]."""
        summed: FloatArray = self.joint.sum(axis=2, keepdims=True)
        return summed

    @property
    def outside(self) -> FloatArray:
        """Pixels around the mask by grey value, [N, C, T, GREYS]."""
        return self.whole - self.inside

    @cached_property
    def levels(self) -> FloatArray:
        """Pixels by how many thresholds lie below their map, [N, C, T + 1]."""
        summed: FloatArray = self.joint.sum(axis=-1)
        return summed

    @cached_property
    def size(self) -> FloatArray:
        """Pixels in the mask, [N, C, T]."""
        return above(self.levels)

    def scored(self, kept: FloatArray, lost: FloatArray) -> Evidence:
        """Add what the classifier says of masked slices."""
        return replace(self, kept=kept, lost=lost)


#: Bins of grey values by their centres.
GREY: Final[FloatArray] = (np.arange(GREYS) + 0.5) / GREYS


def grey_variance(counts: FloatArray) -> FloatArray:
    """Return the variance of grey values from counts [..., GREYS]."""
    total = counts.sum(axis=-1)
    mean = counts @ GREY / total
    variance: FloatArray = counts @ GREY**2 / total - mean**2
    return variance


def times_log(counts: FloatArray) -> FloatArray:
    """Return n log n for each count n, 0 for none: what entropies of counts are sums of."""
    products: FloatArray = counts * np.log(np.maximum(counts, 1))
    return products


def gather(
    maps: NDArray[np.floating[Any]],
    images: NDArray[np.floating[Any]],
    thresholds: Sequence[float],
    within: BoolArray | None = None,
) -> Evidence:
    """Count what the masks of some slices look like.

    Args:
        maps: Shape [N, C, h, w]; larger means more evidence.
        images: Shape [N, h, w], grey values from 0 to 1.
        thresholds: Ascending.
        within: Shape [h, w]: which pixels are of the scan, and not of a margin around it.

    Raises:
        DataError: Shapes do not belong together, or images leave 0 to 1.
    """
    count, classes, *plane = maps.shape
    if images.shape != (count, *plane):
        raise DataError(
            "maps [N, C, h, w] and images [N, h, w] do not belong together: "
            f"{maps.shape}, {images.shape}"
        )
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        raise DataError(f"grey values run from {images.min():g} to {images.max():g}, not in 0 to 1")
    levels, there = np.asarray(thresholds, np.float64), maps.max(axis=(2, 3), initial=0) > 0
    mine = np.ones(plane, bool) if within is None else within
    shape = (count, classes, len(levels))
    joint = np.zeros((count, classes, len(levels) + 1, GREYS))
    length, step = np.zeros(shape), np.zeros(shape)
    for n, (several, image) in enumerate(zip(maps, images, strict=True)):
        winner = several.argmax(axis=0)
        below = np.searchsorted(levels, several.max(axis=0).astype(np.float64))
        for c in np.flatnonzero(there[n]):
            rank = np.where(winner == c, below, 0)
            joint[n, c] = _joint(rank[mine], image[mine], len(levels))
            length[n, c], step[n, c] = _outline(rank, image, mine, len(levels))
    return Evidence(levels, there, joint, length, step)


def _joint(rank: NDArray[np.intp], image: NDArray[Any], levels: int) -> FloatArray:
    grey = np.minimum((image * GREYS).astype(np.intp), GREYS - 1)
    counts = np.bincount(rank * GREYS + grey, minlength=(levels + 1) * GREYS)
    return counts.reshape(levels + 1, GREYS).astype(np.float64)


def _outline(
    rank: NDArray[np.intp], image: NDArray[Any], mine: BoolArray, levels: int
) -> tuple[FloatArray, FloatArray]:
    """Pairs of neighbours that the outline at each threshold passes between, and their steps.

    Where so many thresholds lie below two neighbours, it passes between them at those that lie
    below the one and not below the other.
    """
    length, step = np.zeros(levels + 1), np.zeros(levels + 1)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        parted = (rank[one] != rank[other]) & mine[one] & mine[other]
        here, there = rank[one][parted], rank[other][parted]
        first, behind = np.minimum(here, there), np.maximum(here, there)
        jump = np.abs(image[one][parted] - image[other][parted])
        for sums, weights in ((length, None), (step, jump)):
            sums += np.bincount(first, weights, levels + 1)
            sums -= np.bincount(behind, weights, levels + 1)
    return length.cumsum()[:levels], step.cumsum()[:levels]


def above(counts: FloatArray) -> FloatArray:
    """Sums over all levels above each threshold; levels are the third axis."""
    flipped = np.flip(counts, axis=2).cumsum(axis=2)
    sums: FloatArray = np.flip(flipped, axis=2)[:, :, 1:]
    return sums
