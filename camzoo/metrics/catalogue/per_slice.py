"""Means over slices that are measured by themselves, in their plane."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from camzoo.metrics.base import Metric, Needs, register_metric
from camzoo.metrics.catalogue.distances import Distance
from camzoo.metrics.mask_pair import MaskPair
from camzoo.metrics.nearest import FloatArray
from camzoo.metrics.overlap import dice
from camzoo.metrics.slicewise import SliceDistances


@register_metric("dsc_2d")
class DicePerSlice(Metric):
    """Mean DSC of slices with either mask."""

    label = "DSC per slice"
    definition = "mean of the DSC of all slices that have either mask"
    needs = Needs.SLICES
    order = 130

    def measure(self, pair: MaskPair) -> float:
        """Return the mean over the slices in which there is anything."""
        tp, n_pred, n_ref = pair.slice_counts.T
        return float(np.mean(dice(tp, n_pred, n_ref), where=n_pred + n_ref > 0))


class DistancePerSlice(Distance):
    """A mean over the slices that have both masks; undefined without such, even if both are empty.

    Beside it stands in how many slices it was measured (``slices``) and failed (``slices_failed``).
    """

    needs = Needs.SLICES

    @abstractmethod
    def of_slices(self, distances: SliceDistances) -> FloatArray:
        """Return the distance of each slice, shape [n]; NaN where a mask is empty."""

    def measure(self, pair: MaskPair) -> float:
        """Return the mean over slices."""
        return float(np.nanmean(self.of_slices(pair.slices))) if pair.slices.n else float("nan")

    def value_of(self, pair: MaskPair) -> float:
        """Return the metric of a pair of masks, NaN without a slice that has both."""
        return self.measure(pair)


@register_metric("asd_2d_mm")
class AsdPerSlice(DistancePerSlice):
    """Mean over slices of the ASD of their outlines."""

    label = "ASD per slice"
    definition = "mean of the ASD of the outlines in all slices that have both masks"
    order = 140

    def of_slices(self, distances: SliceDistances) -> FloatArray:
        """Return the ASD of each slice."""
        return distances.asd


@register_metric("mad_2d_mm")
class MadPerSlice(DistancePerSlice):
    """Mean over slices of the MAD of their outlines."""

    label = "MAD per slice"
    definition = "mean of the MAD of the outlines in all slices that have both masks"
    order = 150

    def of_slices(self, distances: SliceDistances) -> FloatArray:
        """Return the MAD of each slice."""
        return distances.mad


@register_metric("hd95_2d_mm")
class Hausdorff95PerSlice(DistancePerSlice):
    """Mean over slices of the HD95 of their outlines."""

    label = "HD95 per slice"
    definition = "mean of the HD95 of the outlines in all slices that have both masks"
    order = 160

    def of_slices(self, distances: SliceDistances) -> FloatArray:
        """Return the HD95 of each slice."""
        return distances.hd95
