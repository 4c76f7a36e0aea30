"""Two groups of map values that are both as mixed as can be."""

from __future__ import annotations

import numpy as np

from camzoo.metrics.evidence import Evidence, FloatArray, times_log
from camzoo.metrics.threshold_rules.base import ThresholdRule, register_rule


@register_rule("entropy")
class MaximumEntropy(ThresholdRule):
    """Parts the values of the map into two groups of the largest entropy together."""

    paper = "Kapur, CVGIP 1985"

    def goodness(self, evidence: Evidence) -> FloatArray:
        """Return the sum of the entropies of both groups, of the values above the lowest."""
        counts = evidence.levels[..., 1:]
        logs = times_log(counts)
        below, total = counts.cumsum(-1) - counts, counts.sum(-1, keepdims=True)
        logs_below = logs.cumsum(-1) - logs
        logs_above = logs.sum(-1, keepdims=True) - logs_below
        above = total - below
        # Of n values in bins of n_i, the entropy is log n - sum(n_i log n_i) / n.
        low, high = np.log(below) - logs_below / below, np.log(above) - logs_above / above
        both: FloatArray = low + high
        return both
