"""P-CAM twice: what a second schedule alone brings to the classifier.

The control of baselines that go on training the shared classifier with something added (SEAM,
ISSOC-style) or train one of their own (BES): they have shown something where they beat it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from camzoo.cams.methods.activation import Cam
from camzoo.core.errors import ConfigError
from camzoo.learning.objectives import TagLoss
from camzoo.segment.base import PseudoMaskBaseline, register_baseline
from camzoo.segment.maps import validated_cut
from camzoo_baselines.own_maps import own_maps_of_both
from camzoo_baselines.second_training import trained_on_tags

if TYPE_CHECKING:
    from camzoo.network.backbone import Classifier
    from camzoo.segment.learning_context import BaselineContext


@register_baseline("p-cam-twice")
class PCamTwice(PseudoMaskBaseline):
    """Trains the classifier on tags for a second schedule, cuts its CAM and trains the U-Net.

    Args:
        rate: Learning rate of the second schedule, as a share of the first; 0.1 is that of SEAM and
            ISSOC-style.
    """

    title = "P-CAM twice (control)"
    paper = "no paper"
    control = True
    cost = "a second training of the classifier, and the U-Net"

    def __init__(self, rate: float = 0.1) -> None:
        if rate <= 0:
            raise ConfigError(f"p-cam-twice: expected rate > 0, got {rate}")
        self._rate = rate

    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Train on, and cut the maps at the threshold of the validation patients."""
        classifier, layer = self._trained(context), context.config.backbone.layer
        maps = own_maps_of_both(classifier, Cam(), context, layer=layer)
        return validated_cut(context, *maps)

    def _trained(self, context: BaselineContext) -> Classifier:
        config = context.config.training
        config = config.model_copy(update={"lr": config.lr * self._rate})
        classifier = copy.deepcopy(context.classifier)
        return trained_on_tags(context, classifier, config, TagLoss, name="second schedule")
