"""A threshold that was there before."""

from __future__ import annotations

from camzoo.metrics.evidence import Evidence, FloatArray
from camzoo.metrics.threshold_rules.base import ThresholdRule, register_rule


@register_rule("fixed")
class Fixed(ThresholdRule):
    """Is half of the maximum, whatever maps and images are."""

    paper = "usual"

    def goodness(self, evidence: Evidence) -> FloatArray:
        """Return minus the distance from one half."""
        distance: FloatArray = 0 * evidence.size + abs(evidence.thresholds - 0.5)
        return -distance
