"""A mask that is even in its grey values, in surroundings that are."""

from __future__ import annotations

from camzoo.metrics.evidence import Evidence, FloatArray, grey_variance
from camzoo.metrics.threshold_rules.base import Needs, ThresholdRule, register_rule


@register_rule("variance")
class LeastVariance(ThresholdRule):
    """Makes grey values vary least inside the mask and outside, both counting alike."""

    needs = Needs.IMAGES
    paper = "UM-CAM: Fu, MICCAI 2023 (its code)"

    def goodness(self, evidence: Evidence) -> FloatArray:
        """Return minus the mean of both variances, over that of the slice."""
        mean = (grey_variance(evidence.inside) + grey_variance(evidence.outside)) / 2
        return -mean / grey_variance(evidence.whole)
