"""MDC: convolutions of several dilations carry what tells an organ to the places around it.

Wei, Xiao, Shi, Jie, Feng and Huang, "Revisiting dilated convolution: a simple approach for weakly-
and semi-supervised semantic segmentation", CVPR 2018. Behind the trunk lie several blocks side by
side, 3 x 3 convolutions of growing dilation, each with average pooling and a classifier of its own.
The map of the undilated block is exact but shows the most telling part alone; those of the dilated
ones light up whatever lies within reach of it. Their mean keeps what most of them agree on, and is
added to the first.

What differs from the paper, and why:

- The backbone is that of the run, in the place of VGG-16, and training goes on from the shared
  classifier with its recipe, the trunk at a tenth of its rate, the blocks at the rate that the run
  has for heads.
- Dilations are those of the paper in pixels: its 1, 3, 6 and 9 cells of stride 8 are 1, 2, 3 and 5
  of stride 16, no two alike.
- Blocks have 128 channels, so that they train on a CPU.
- The loss is the mean over the blocks, so that the trunk learns as fast as with one.
- The map of each block is rectified and divided by its maximum before they are summed: nothing
  brings the scores of blocks to one scale. On the prostates of one fold, after 72 of some 300
  steps and at one scale, labels of training slices were right to a pooled DSC of 69.6 so, and of
  68.9 without; those of the undilated block alone to 67.7, of the others to 63.2, 63.2 and 47.6.
- The maps are cut at the threshold that is best on validation patients; the paper takes the largest
  30 % for the object, and the background from a model of saliency, which knows no organs of MR.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.cams.base import CamMethod
from camzoo.core.errors import ConfigError
from camzoo.core.randomness import seeded
from camzoo.learning.objectives import ViewLoss
from camzoo.network.backbone import Classifier, Trainable
from camzoo.network.precision import autocast
from camzoo.segment.base import PseudoMaskBaseline, register_baseline
from camzoo.segment.maps import validated_cut
from camzoo_baselines.cells import ascending, in_cells
from camzoo_baselines.own_maps import (
    feature_map,
    linear_weights,
    own_maps_of_both,
    probe,
    unit,
)
from camzoo_baselines.second_training import gentle, trained_on_tags

if TYPE_CHECKING:
    from camzoo.cams.view.feature_view import FeatureView
    from camzoo.segment.learning_context import BaselineContext


@register_baseline("mdc")
class Mdc(PseudoMaskBaseline):
    """Cuts the sum of maps of several dilations and trains the U-Net (Wei et al., CVPR 2018).

    Args:
        rates: Dilation of each block in cells of 8 pixels, ascending, at least two; the nearest
            whole numbers of the trunk's own cells are taken, no two alike.
        width: Channels of each block.
        rate: Learning rate of the trunk, as a share of the classifier's.
    """

    title = "MDC"
    paper = "Wei, CVPR 2018"
    cost = "a second training of the classifier with dilated blocks, and the U-Net"
    tuned = "maps of blocks raw or on [0, 1], on validation patients of NCI-ISBI 2013 (1 fold)"

    def __init__(
        self, rates: Sequence[float] = (1, 3, 6, 9), width: int = 128, rate: float = 0.1
    ) -> None:
        steps = zip((0, *rates), rates, strict=False)
        if len(rates) < 2 or not all(a < b for a, b in steps) or width < 1 or rate <= 0:
            raise ConfigError(
                "mdc: expected two or more ascending rates > 0, width >= 1 and rate > 0, got "
                f"{list(rates)}, {width} and {rate}"
            )
        self._rates, self._width, self._rate = tuple(rates), width, rate

    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Train the blocks, and cut their maps at the threshold of the validation patients."""
        network = self._trained(context)
        maps = own_maps_of_both(network.classifier, DilatedCam(network), context)
        return validated_cut(context, *maps)

    def _trained(self, context: BaselineContext) -> DilatedBlocks:
        config = gentle(context.config.training, self._rate)
        network = DilatedBlocks(
            context.classifier, config.crop, self._rates, self._width, seed=context.seed
        )
        return trained_on_tags(context, network, config, BlocksLoss, name="dilated blocks")


class DilatedBlocks(Trainable):
    """A trunk, and blocks of several dilations behind it, each with a classifier.

    Args:
        classifier: Is copied; with average pooling and a linear layer behind its features.
        side: Side of its input in pixels.
        rates: Dilations in cells of 8 pixels, ascending.
        width: Channels of each block.
        seed: Seed of the blocks.

    Raises:
        ConfigError: The classifier's head is another.
    """

    def __init__(
        self, classifier: Classifier, side: int, rates: Sequence[float], width: int, *, seed: int
    ) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(classifier).eval()
        seen = probe(self.classifier, side)
        organs, channels = linear_weights(self.classifier, seen).shape
        dilations = ascending([in_cells(rate, side, seen.shape[-1]) for rate in rates])
        with seeded(seed):
            self.blocks = nn.ModuleList(
                block(channels, width, organs, dilation) for dilation in dilations
            )
        self.blocks.to(classifier.device)

    @property
    def fresh(self) -> list[nn.Parameter]:
        """Parameters that learn faster: the blocks."""
        return list(self.blocks.parameters())

    def maps(self, features: Tensor) -> list[Tensor]:
        """Return the maps [B, C, h, w] of all blocks, the undilated one first.

        Their means over places are the logits of the blocks: a linear layer behind average pooling
        may as well come in front of it.

        Args:
            features: [B, K, h, w].
        """
        return [each(features) for each in self.blocks]

    def forward(self, grey: Tensor) -> list[Tensor]:
        """Return :meth:`maps` of slices on [0, 1], [B, H, W]."""
        return self.maps(feature_map(self.classifier, grey))


def block(channels: int, width: int, organs: int, dilation: int) -> nn.Sequential:
    """Make a dilated 3 x 3 convolution with a linear classifier, from K channels to C maps."""
    spread = nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation)
    nn.init.kaiming_normal_(spread.weight, nonlinearity="relu")
    return nn.Sequential(spread, nn.ReLU(), nn.Conv2d(width, organs, 1, bias=False))


class BlocksLoss(ViewLoss[DilatedBlocks]):
    """Binary cross-entropy on tags, the mean over the blocks."""

    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the mean logits of a batch."""
        with autocast(views.device, self.precision):
            maps = self.network(views)
        logits = torch.stack([each.float().mean(dim=(2, 3)) for each in maps])
        loss = F.binary_cross_entropy_with_logits(logits, tags.expand_as(logits))
        return loss, logits.mean(dim=0)


class DilatedCam(CamMethod):
    """The map of the undilated block and the mean of those of the others.

    Args:
        network: Trained.
    """

    def __init__(self, network: DilatedBlocks) -> None:
        self._network = network

    @torch.no_grad()
    def saliency(self, view: FeatureView) -> Tensor:
        """Return H = H_0 + mean_i H_i with maps on [0, 1], [B, C, h, w]."""
        exact, *wide = (unit(each) for each in self._network.maps(view.features))
        return exact + torch.stack(wide).mean(dim=0)
