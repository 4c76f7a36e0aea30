"""Global sampling of C-CAM (Chen et al., CVPR 2022, eq. 1): coarse masks and the context map M_GC.

``M_GC,c(p) = #{k : coarse_k(p) = c} / N`` over the N positive training slices: how often place p
was class c. With the background it sums to 1 at every place. The paper leaves open whether the
coarse masks are predictions (map A) or references (map B, an oracle); both are built here, and the
steps that use one say which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from camzoo.core.errors import ConfigError, DataError
from camzoo.data.slices import TaggedSlices
from camzoo.metrics.sweep import apply_threshold

_CHUNK = 64


@dataclass(frozen=True)
class ContextMap:
    """How often each class was found at each place.

    Attributes:
        counts: Slices whose coarse mask has the class there, int64 [C + 1, s, s]; 0 is background.
        positives: Slices that are tagged with each class, int64 [C].
        organs: Names of the C classes.
    """

    counts: Tensor
    positives: Tensor
    organs: tuple[str, ...]

    @property
    def slices(self) -> int:
        """How many coarse masks were counted, N of eq. 1."""
        return int(self.counts[:, 0, 0].sum())

    @property
    def with_background(self) -> Tensor:
        """M_GC of all C + 1 classes, float32 [C + 1, s, s]; sums to 1 over the classes."""
        return self.counts.float() / self.slices

    def frequency(self, *, per_class: bool = False) -> Tensor:
        """M_GC without the background, float32 [C, s, s].

        Args:
            per_class: Divide by the slices that have the class instead of by all, so that rare
                organs get values as large as common ones.
        """
        if not per_class:
            return self.with_background[1:]
        return self.counts[1:].float() / self.positives.clamp(min=1)[:, None, None]

    @property
    def never_found(self) -> tuple[str, ...]:
        """Classes that no coarse mask has anywhere: their row of M_GC is empty."""
        empty = (self.counts[1:].flatten(1).sum(1) == 0).tolist()
        return tuple(organ for organ, gone in zip(self.organs, empty, strict=True) if gone)


def coarse_masks(
    maps: NDArray[np.floating], threshold: float, rows: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return coarse masks [n, s, s] of the maps [N, C, s, s] of some slices.

    The rule is that of pseudo-masks: argmax of the maps and a background plane of ``threshold``.
    """
    labels = np.empty((len(rows), *maps.shape[2:]), np.uint8)
    for start in range(0, len(rows), _CHUNK):
        part = np.asarray(maps[rows[start : start + _CHUNK]], np.float32)
        labels[start : start + _CHUNK] = apply_threshold(part.swapaxes(0, 1), threshold)
    return labels


def context_map(labels: NDArray[np.uint8], slices: TaggedSlices) -> ContextMap:
    """Count coarse masks (eq. 1).

    Args:
        labels: Coarse masks of ``slices``, [N, s, s]; 0 is background.
        slices: The positive training slices, in the same order.

    Raises:
        DataError: There is no slice with an organ.
        ConfigError: The masks belong to other slices, are not square, or hold unknown classes.
    """
    _require_fit(labels, slices)
    classes = len(slices.organs)
    counts = np.stack([(labels == c).sum(axis=0) for c in range(classes + 1)])
    positives = torch.from_numpy(slices.tags.astype(np.int64).sum(axis=0))
    return ContextMap(torch.from_numpy(counts), positives, slices.organs)


def _require_fit(labels: NDArray[np.uint8], slices: TaggedSlices) -> None:
    if not len(slices) or not slices.tags.any(axis=1).all():
        raise DataError(
            f"the context map is an average over slices with an organ; of the {len(slices)} that "
            f"came {int((~slices.tags.any(axis=1)).sum())} have none: give positive slices only"
        )
    if labels.ndim != 3 or len(labels) != len(slices) or labels.shape[1] != labels.shape[2]:
        raise ConfigError(
            f"expected square coarse masks of the {len(slices)} positive slices, "
            f"[{len(slices)}, s, s], got {labels.shape}: they belong to other slices"
        )
    if labels.max() > len(slices.organs):
        raise ConfigError(
            f"coarse masks hold class {labels.max()}, there are {len(slices.organs)} organs"
        )


def resized(planes: Tensor, side: int) -> Tensor:
    """Bring planes [B, C, s, s] to [B, C, side, side], averaging where they shrink."""
    if planes.shape[-1] == side:
        return planes
    return F.interpolate(
        planes, size=(side, side), mode="bilinear", antialias=True, align_corners=False
    )
