"""Ratios of voxel counts."""

from __future__ import annotations

from numpy.typing import ArrayLike

from camzoo.metrics import overlap
from camzoo.metrics.base import CountMetric, VoxelCounts, register_metric


@register_metric("dsc")
class Dice(CountMetric):
    """Dice similarity coefficient."""

    label = "DSC"
    definition = "2|A∩B| / (|A|+|B|), in voxels"
    order = 10
    paper = "Dice, Ecology 1945"

    def from_counts(self, counts: VoxelCounts) -> ArrayLike:
        """Return the share of both masks that they have in common."""
        return overlap.dice(*counts[:3])


@register_metric("iou")
class Iou(CountMetric):
    """Intersection over union, the Jaccard index."""

    label = "IoU"
    definition = "|A∩B| / (|A|+|B|-|A∩B|)"
    stored = False
    order = 20

    def from_counts(self, counts: VoxelCounts) -> ArrayLike:
        """Return the share of the union that is in both masks."""
        return overlap.iou(*counts[:3])


@register_metric("precision")
class Precision(CountMetric):
    """Share of the prediction that is right."""

    label = "precision"
    definition = "|A∩B| / |A|"
    stored = False
    order = 30

    def from_counts(self, counts: VoxelCounts) -> ArrayLike:
        """Return the share of the prediction that is in the reference."""
        return overlap.precision(*counts[:3])


@register_metric("recall")
class Recall(CountMetric):
    """Share of the reference that is found."""

    label = "recall"
    definition = "|A∩B| / |B|"
    stored = False
    order = 40

    def from_counts(self, counts: VoxelCounts) -> ArrayLike:
        """Return the share of the reference that is in the prediction."""
        return overlap.recall(*counts[:3])
