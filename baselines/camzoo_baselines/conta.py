"""CONTA: classifier and segmentation network take turns, with the mean masks as what confounds.

Zhang et al., "Causal intervention for weakly-supervised semantic segmentation", NeurIPS 2020. What
the segmentation network finds on average is the set of confounders, one mean mask per class. A
slice's own mask says how much of each it has (attention), and the blend is one more channel in
front of the classifier's head. That classifier makes the maps of the next round.

C-CAM's category causality is one such round with masks of CAM, and without the background; the same
modules serve here. What differs from the paper, and why:

- The background is one of the n confounders. For one organ alone the attention would be 1 whatever
  the slice looks like. The blend of one organ is then flat where both shares are a half, and low on
  the organ where the background's is larger.
- The shared classifier is the first round, which has no context; the next ones go on from it, on
  slices that show an organ. In others the mask would tell the tag, and nothing else be learnt.
- For the same reason masks are taken as the network gives them, not cleared by tags.
- The prior P(c) = 1/n of a class is left out: it scales the channel, as the head's weight does.
- Segmentation is the common U-Net, not DeepLab-v2. Maps are cut at the threshold that is best on
  validation patients; there is no CRF and no IRNet in between, so that rounds differ by context.
- 2 rounds instead of 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camzoo.cams.methods.activation import Cam
from camzoo.core.errors import ConfigError
from camzoo.learning.augmentation import Augmentation
from camzoo.segment.base import UNetBaseline, clear_absent, register_baseline
from camzoo.segment.maps import validated_cut
from camzoo.segment.training import SegmentationNet, train_unet
from camzoo.steps.ccam.category import CategoryAttention
from camzoo.steps.ccam.causal import CausalCam, CausalClassifier, CausalLoss
from camzoo.steps.ccam.global_context import context_map, resized
from camzoo.steps.ccam.retraining import retraining
from camzoo_baselines.own_maps import own_maps

if TYPE_CHECKING:
    from camzoo.cams.map_arrays import MapArrays
    from camzoo.data.slices import TaggedSlices
    from camzoo.segment.learning_context import BaselineContext

#: Slices that the segmentation network and the attention see at a time.
_PART = 16


@register_baseline("conta")
class Conta(UNetBaseline):
    """Takes turns between a causal classifier and the U-Net (Zhang et al., NeurIPS 2020).

    Args:
        rounds: Segmentation networks that are trained; 1 is the U-Net on CAM.
        grid: Side of the grid of masks and confounders.
        rate: Learning rate of the causal classifier, as a share of the classifier's.

    Attributes:
        masks: Pseudo-masks of every round, uint8 [N, s, s].
    """

    title = "CONTA"
    paper = "Zhang, NeurIPS 2020"
    cost = "2 U-Nets and a second training of the classifier on positives"
    reads = ("cam",)

    def __init__(self, rounds: int = 2, grid: int = 64, rate: float = 0.1) -> None:
        if min(rounds, grid) < 1 or rate <= 0:
            raise ConfigError(
                f"conta: rounds, grid and rate must be positive, got {rounds}, {grid} and {rate}"
            )
        self._rounds, self._grid, self._rate = rounds, grid, rate
        self.masks: list[NDArray[np.uint8]] = []

    def fit(self, context: BaselineContext) -> None:
        """Go through the rounds; the last U-Net predicts."""
        train, val = context.maps("cam"), context.val_maps("cam")
        self.masks = [self._cut(context, train, val)]
        for number in range(1, self._rounds):
            segmentation = train_unet(context, self.masks[-1], name=f"unet-{number}")
            train, val = self._causal_maps(context, segmentation, number)
            self.masks.append(self._cut(context, train, val))
        self.pseudo = self.masks[-1]
        self.learn(context, self.pseudo)

    def _cut(self, context: BaselineContext, train: MapArrays, val: MapArrays) -> NDArray[np.uint8]:
        return clear_absent(validated_cut(context, train, val), context.train)

    def _causal_maps(
        self, context: BaselineContext, segmentation: SegmentationNet, number: int
    ) -> tuple[MapArrays, MapArrays]:
        """Maps of the training and the validation slices with what the segmentation found."""
        train, val = context.train, context.val
        masks = found_masks(segmentation, train, self._grid)
        confounders = mean_masks(masks, train).to(context.device)
        network = self._trained(context, masks, confounders, number)

        def maps(slices: TaggedSlices, found: NDArray[np.uint8]) -> MapArrays:
            shares = attention(network, found, confounders)
            weight = network.weight.detach()
            method = CausalCam(Cam(), weight, shares, confounders, aligned=True)
            layer = context.config.backbone.layer
            return own_maps(network.classifier, method, slices, context, layer=layer)

        return maps(train, masks), maps(val, found_masks(segmentation, val, self._grid))

    def _trained(
        self,
        context: BaselineContext,
        masks: NDArray[np.uint8],
        confounders: Tensor,
        number: int,
    ) -> CausalClassifier:
        """Retrain the classifier on positive slices with the context of a round."""
        rows = context.train.positive_rows
        slices = context.train.at(rows)
        network = CausalClassifier(
            context.classifier,
            CategoryAttention(self._grid, len(confounders), context.seed),
            context.seed,
        )
        config = retraining(context.config.training, self._rate)
        ranges = Augmentation.of(config, sided=slices.sided)
        own = numbered_from_one(masks[rows]).to(context.device)
        loss = CausalLoss(network, own, confounders, True, ranges, config.precision)
        context.minimise(loss, network, slices, config, name=f"causal classifier {number}")
        return network.eval()


def found_masks(
    segmentation: SegmentationNet, slices: TaggedSlices, grid: int
) -> NDArray[np.uint8]:
    """Segment slices: uint8 [N, grid, grid], 0 background, 1..C organs."""
    masks = np.empty((len(slices), grid, grid), np.uint8)
    for which in slices.parts(_PART):
        probabilities = resized(segmentation.predict(slices.images(which)), grid)
        masks[which] = probabilities.argmax(dim=1).cpu().numpy()
    return masks


def mean_masks(masks: NDArray[np.uint8], slices: TaggedSlices) -> Tensor:
    """Return the confounders, float32 [C + 1, g, g]: how often each class is at each place.

    Args:
        masks: Masks of all ``slices``, [N, g, g]; those of slices that show an organ are counted.
        slices: With their tags.

    Raises:
        DataError: No slice shows an organ.
    """
    rows = slices.positive_rows
    return context_map(masks[rows], slices.at(rows)).with_background


def numbered_from_one(masks: NDArray[np.uint8]) -> Tensor:
    """Number classes from 1, the background first: 0 is left for what is outside of the slice."""
    return torch.from_numpy(masks + np.uint8(1))


@torch.inference_mode()
def attention(network: CausalClassifier, masks: NDArray[np.uint8], confounders: Tensor) -> Tensor:
    """Share of each confounder in slices, [N, C + 1], by their masks [N, g, g]."""
    own = numbered_from_one(masks).to(confounders.device)
    parts = [
        network.attention(part, confounders.expand(len(part), -1, -1, -1))
        for part in own.split(_PART)
    ]
    return torch.cat(parts)
