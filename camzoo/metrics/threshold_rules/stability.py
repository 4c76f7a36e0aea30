"""A mask that hardly changes with its threshold."""

from __future__ import annotations

import numpy as np

from camzoo.metrics.evidence import Evidence, FloatArray
from camzoo.metrics.threshold_rules.base import ThresholdRule, register_rule


@register_rule("stability")
class Stability(ThresholdRule):
    """Lies where the size of the mask changes least, in relation to the size."""

    paper = "MSER: Matas, BMVC 2002"

    def goodness(self, evidence: Evidence) -> FloatArray:
        """Return minus the relative loss of size between the thresholds on both sides.

        Nothing is said of the first and of the last threshold, which have one side alone.
        """
        size = evidence.size
        lost = np.full_like(size, np.nan)
        lost[..., 1:-1] = (size[..., :-2] - size[..., 2:]) / size[..., 1:-1]
        return -lost
