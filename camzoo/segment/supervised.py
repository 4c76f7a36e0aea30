"""The upper bound: the common U-Net on reference masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from camzoo.data.grid import Letterbox
from camzoo.segment.base import UNetBaseline, register_baseline
from camzoo.supervision import Supervision

if TYPE_CHECKING:
    from camzoo.segment.context import BaselineContext


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
    masks = context.masks()
    volumes = (torch.from_numpy(masks.label(case)) for case, _, _ in context.train.cases)
    fitted = [Letterbox(*v.shape[1:]).labels_to_grid(v, side).numpy() for v in volumes]
    return np.concatenate(fitted)
