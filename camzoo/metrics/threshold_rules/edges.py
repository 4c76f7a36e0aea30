"""A mask whose outline lies on edges of the image."""

from __future__ import annotations

from camzoo.metrics.evidence import Evidence, FloatArray, grey_variance
from camzoo.metrics.threshold_rules.base import Needs, ThresholdRule, register_rule


@register_rule("edges")
class Edges(ThresholdRule):
    """Lays the outline of the mask where neighbouring grey values differ most."""

    needs = Needs.IMAGES
    paper = "Caselles, IJCV 1997"

    def goodness(self, evidence: Evidence) -> FloatArray:
        """Return the mean step across the outline over the standard deviation of the slice."""
        deviation = grey_variance(evidence.whole) ** 0.5
        step: FloatArray = evidence.step / evidence.length / deviation
        return step
