"""A mask that is even in its grey values, in surroundings that are."""

from __future__ import annotations

from camzoo.metrics.evidence import GREY, Evidence, FloatArray
from camzoo.metrics.threshold_rules.base import Needs, ThresholdRule, register_rule


@register_rule("variance")
class LeastVariance(ThresholdRule):
    """Makes grey values vary least inside the mask and outside, both counting alike."""

    needs = Needs.IMAGES
    paper = "UM-CAM: Fu, MICCAI 2023 (its code)"

    def goodness(self, evidence: Evidence) -> FloatArray:
        """Return minus the mean of both variances, over that of the slice."""
        mean = (_variance(evidence.inside) + _variance(evidence.outside)) / 2
        return -mean / _variance(evidence.whole)


def _variance(counts: FloatArray) -> FloatArray:
    """Variance of grey values from counts [..., GREYS]."""
    total = counts.sum(axis=-1)
    mean = counts @ GREY / total
    variance: FloatArray = counts @ GREY**2 / total - mean**2
    return variance
