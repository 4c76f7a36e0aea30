"""Two groups of map values that differ most."""

from __future__ import annotations

import numpy as np

from camzoo.metrics.evidence import Evidence, FloatArray, above
from camzoo.metrics.threshold_rules.base import ThresholdRule, register_rule


@register_rule("otsu")
class Otsu(ThresholdRule):
    """Parts the values of the map into the two groups that differ most."""

    paper = "Otsu, IEEE Trans. SMC 1979"

    def goodness(self, evidence: Evidence) -> FloatArray:
        """Return the share of the variance of map values that lies between both groups.

        Values below the lowest threshold are left out: they are never in a mask, and zeros would
        outnumber all others.
        """
        counts, value = evidence.levels[..., 1:], centres(evidence.thresholds)
        high, high_sum = evidence.size, above(evidence.levels * np.append(0.0, value))
        total, mean = high[..., :1], high_sum[..., :1] / high[..., :1]
        low, low_sum = total - high, high_sum[..., :1] - high_sum
        between = low * high * (low_sum / low - high_sum / high) ** 2 / total**2
        variance = (counts * (value - mean[..., None, 0]) ** 2).sum(axis=-1, keepdims=True) / total
        share: FloatArray = between / variance
        return share


def centres(thresholds: FloatArray) -> FloatArray:
    """Return the values in the middle between thresholds, [T].

    What lies above the last one is taken to reach as far as the step before it.
    """
    edges = np.append(thresholds, 2 * thresholds[-1] - thresholds[-2:][0])
    middle: FloatArray = (edges[:-1] + edges[1:]) / 2
    return middle
