"""A mask that says most about grey values."""

from __future__ import annotations

from camzoo.metrics.evidence import Evidence, FloatArray, times_log
from camzoo.metrics.threshold_rules.base import Needs, ThresholdRule, register_rule


@register_rule("information")
class Information(ThresholdRule):
    """Makes the entropy of grey values inside the mask and outside least, by their sizes."""

    needs = Needs.IMAGES
    paper = "mutual information: Viola, IJCV 1997"

    def goodness(self, evidence: Evidence) -> FloatArray:
        """Return the mutual information of mask and grey value, in nats."""
        inside, outside = evidence.inside, evidence.outside
        within = _spread(inside) + _spread(outside)
        told: FloatArray = (_spread(evidence.whole) - within) / evidence.whole.sum(axis=-1)
        return told


def _spread(counts: FloatArray) -> FloatArray:
    """Entropy of grey values times the number of pixels, from counts [..., GREYS]; 0 of none."""
    total = counts.sum(axis=-1)
    spread: FloatArray = times_log(total) - times_log(counts).sum(axis=-1)
    return spread
