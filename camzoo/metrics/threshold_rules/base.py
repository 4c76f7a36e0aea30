"""The contract of a rule that chooses a threshold without masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import ClassVar

import numpy as np

from camzoo.metrics.evidence import Evidence, FloatArray
from camzoo.metrics.threshold_rules.registry import rules

register_rule = rules.register


class Needs(StrEnum):
    """What a rule looks at."""

    MAPS = "maps"
    IMAGES = "maps, images"
    CLASSIFIER = "maps, images, classifier"


class ThresholdRule(ABC):
    """Says how good thresholds are from what their masks look like.

    The first line of the docstring says what the rule takes for a good threshold.

    Attributes:
        name: Its name in the registry, set on registration.
        needs: What it looks at.
        paper: First author, venue and year of the idea.
    """

    name: ClassVar[str] = ""
    needs: ClassVar[Needs] = Needs.MAPS
    paper: ClassVar[str] = ""

    @abstractmethod
    def goodness(self, evidence: Evidence) -> FloatArray:
        """Return how good each threshold is for each organ of each slice, [N, C, T].

        Larger is better, in a unit that slices, cases and organs share. NaN is a threshold of which
        nothing can be said, as where its mask is empty.
        """


def suitability(rule: ThresholdRule, evidence: Evidence) -> FloatArray:
    """Return how good each threshold is for each organ of a case, [C, T]: the mean over slices.

    A threshold of which a slice says nothing is as bad as the worst one there; a slice that says
    nothing of any does not count. An organ that no slice says anything of has NaN.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = rule.goodness(evidence)
    spoken = np.isfinite(scores) & evidence.there[..., None]
    worst = np.where(spoken, scores, np.inf).min(axis=-1, keepdims=True)
    filled = np.where(spoken, scores, worst)
    counts = np.isfinite(worst).sum(axis=0)
    total = np.where(np.isfinite(worst), filled, 0.0).sum(axis=0)
    mean: FloatArray = np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
    return mean
