"""The upper bound: the common U-Net on reference masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from camzoo.core.supervision import Supervision
from camzoo.data.slices import labels_on_grid
from camzoo.segment.base import UNetBaseline, register_baseline

if TYPE_CHECKING:
    from camzoo.segment.learning_context import BaselineContext


@register_baseline("supervised")
class Supervised(UNetBaseline):
    """Learns reference masks: what the U-Net reaches where nothing is wrong with its labels."""

    title = "fully supervised U-Net (upper bound)"
    paper = "Ronneberger, MICCAI 2015"
    supervision = Supervision.MASK
    cost = "the U-Net"

    def fit(self, context: BaselineContext) -> None:
        """Train the U-Net on the masks of the training cases."""
        self.learn(context, reference_labels(context, context.config.segmentation.side))


def reference_labels(context: BaselineContext, side: int) -> NDArray[np.uint8]:
    """Reference masks of the training slices on a square grid: uint8 [N, side, side].

    Rows are those of ``context.train``.

    Raises:
        FirewallError: The supervision of the baseline does not include masks.
    """
    return labels_on_grid(context.masks(), (case for case, _, _ in context.train.cases), side)
