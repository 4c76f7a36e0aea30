"""What methods that learn share: a walk through the training slices as the classifier sees them."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from camzoo.cams.base import FitContext
from camzoo.cams.pipeline import input_side, resize
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.view.viewer import Viewer

_BATCH = 16


def training_views(context: FitContext) -> Iterator[tuple[FeatureView, Tensor]]:
    """Yield views of the training slices that show an organ, with their tags, bool [B, C]."""
    classifier = context.classifier
    viewer = Viewer(classifier.model, context.layer)
    slices = context.slices.positives()
    side = input_side(context.side or slices.size, 1.0)
    for _, grey, tags in slices.batches(_BATCH, classifier.device):
        yield viewer(classifier.normalise(resize(grey, side))), tags > 0
