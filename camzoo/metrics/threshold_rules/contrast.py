"""A mask that stands out from what lies just around it."""

from __future__ import annotations

import numpy as np

from camzoo.metrics.evidence import GREY, Evidence, FloatArray, grey_variance
from camzoo.metrics.threshold_rules.base import Needs, ThresholdRule, register_rule


@register_rule("contrast")
class Contrast(ThresholdRule):
    """Sets the mean grey value of the mask apart from that of as many pixels just outside."""

    needs = Needs.IMAGES
    paper = "Chan, IEEE Trans. Image Process. 2001, here between two levels of the map"

    def goodness(self, evidence: Evidence) -> FloatArray:
        """Return the difference of both means over the standard deviation of the slice.

        Just outside is what comes next in the order of the map, as much of it as the mask is
        large. Between two thresholds grey values are taken to be spread evenly.
        """
        whole = evidence.whole
        total = whole.sum(axis=-1)
        sizes = np.concatenate([total, evidence.size], axis=-1)
        greys = np.concatenate([whole @ GREY, evidence.inside @ GREY], axis=-1)
        doubled = np.full_like(evidence.size, np.nan)
        for place in np.ndindex(*sizes.shape[:2]):
            doubled[place] = np.interp(
                2 * evidence.size[place], sizes[place][::-1], greys[place][::-1], right=np.nan
            )
        inside = greys[..., 1:] / evidence.size
        around = (doubled - greys[..., 1:]) / evidence.size
        apart: FloatArray = abs(inside - around) / np.sqrt(grey_variance(whole))
        return apart
