"""A mask that holds what the classifier sees the organ by."""

from __future__ import annotations

from camzoo.core.errors import ConfigError
from camzoo.metrics.evidence import Evidence, FloatArray
from camzoo.metrics.threshold_rules.base import Needs, ThresholdRule, register_rule


@register_rule("agreement")
class Agreement(ThresholdRule):
    """Keeps the classifier's score of the mask alone high, and that of all but the mask low."""

    needs = Needs.CLASSIFIER
    paper = "Dabkowski, NeurIPS 2017"

    def goodness(self, evidence: Evidence) -> FloatArray:
        """Return the score of the mask alone minus the score of all but the mask.

        Raises:
            ConfigError: The classifier was not asked.
        """
        if evidence.kept is None or evidence.lost is None:
            raise ConfigError("agreement needs scores of the classifier, and it was not asked")
        return evidence.kept - evidence.lost
