"""Distances between surfaces in millimetres, and the share of surfaces that lie near each other."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from camzoo.metrics.base import UNDEFINED, Direction, Metric, Needs, register_metric
from camzoo.metrics.mask_pair import MaskPair


class Distance(Metric):
    """A distance in millimetres, undefined where one of the masks has no surface."""

    unit = "mm"
    direction = Direction.LOWER
    range = (0.0, np.inf)
    one_empty = UNDEFINED


@register_metric("asd_mm")
class Asd(Distance):
    """Average surface distance: pooled over both surfaces."""

    label = "ASD"
    definition = (
        "mean over the surface points of both masks, pooled, of the distance to the other surface "
        "(symmetric; medpy 0.5.2 calls it ASSD)"
    )
    order = 60

    def measure(self, pair: MaskPair) -> float:
        """Return the mean over the points of both surfaces."""
        return pair.surface.asd


@register_metric("mad_mm")
class Mad(Distance):
    """Mean absolute distance: from the prediction to the reference."""

    label = "MAD"
    definition = (
        "mean over the surface points of the prediction of the distance to the reference surface "
        "(directed; medpy calls it ASD)"
    )
    order = 70

    def measure(self, pair: MaskPair) -> float:
        """Return the mean over the points of the predicted surface."""
        return pair.surface.mad


@register_metric("mad_reverse_mm")
class MadReverse(Distance):
    """Mean distance from the reference to the prediction."""

    label = "MAD reverse"
    definition = (
        "mean over the surface points of the reference of the distance to the predicted surface"
    )
    order = 80

    def measure(self, pair: MaskPair) -> float:
        """Return the mean over the points of the reference surface."""
        return pair.surface.mad_reverse


@register_metric("assd_mm")
class Assd(Distance):
    """Unweighted mean of the two directed means."""

    label = "ASSD"
    definition = "mean of MAD and MAD reverse, unweighted"
    order = 90

    def measure(self, pair: MaskPair) -> float:
        """Return the mean of both directed means."""
        return pair.surface.assd


@register_metric("hd_mm")
class Hausdorff(Distance):
    """Hausdorff distance."""

    label = "HD"
    definition = "largest distance from any surface point to the other surface"
    order = 100

    def measure(self, pair: MaskPair) -> float:
        """Return the largest distance of either direction."""
        return pair.surface.hd


@register_metric("hd95_mm")
class Hausdorff95(Distance):
    """95th percentile of both directed distances pooled."""

    label = "HD95"
    definition = (
        "95th percentile of the distances of both directions, pooled "
        "(MONAI takes the larger of two percentiles)"
    )
    order = 110

    def measure(self, pair: MaskPair) -> float:
        """Return the percentile, linearly interpolated."""
        return pair.surface.hd95


@register_metric("nsd_2mm")
class SurfaceShare(Metric):
    """Share of both surfaces within 2 mm of the other.

    Another tolerance is a subclass with another name, label, definition and ``tolerance_mm``.
    """

    label = "NSD at 2 mm"
    definition = (
        "share of the surface points of both masks within 2 mm of the other surface, each point "
        "counted once"
    )
    order = 120
    tolerance_mm: ClassVar[float] = 2.0

    def measure(self, pair: MaskPair) -> float:
        """Return the share of the points of both surfaces."""
        return pair.surface.nsd(self.tolerance_mm)


@register_metric("asd_full_mm")
class AsdToFullSurface(Distance):
    """ASD of a region's points to the uncropped other surface."""

    label = "ASD to the full surface"
    definition = (
        "as ASD, but only points inside the region count and the other surface is not cropped"
    )
    needs = Needs.UNCROPPED
    order = 170

    def measure(self, pair: MaskPair) -> float:
        """Return the mean over the region's points of both surfaces."""
        return pair.uncropped.asd


@register_metric("mad_full_mm")
class MadToFullSurface(Distance):
    """MAD of a region's points to the uncropped reference."""

    label = "MAD to the full surface"
    definition = "as MAD, but only points inside the region count and the reference is not cropped"
    needs = Needs.UNCROPPED
    order = 180

    def measure(self, pair: MaskPair) -> float:
        """Return the mean over the region's points of the predicted surface."""
        return pair.uncropped.mad
