"""MCIS: a classifier learns from pairs of slices what they have in common, and what they have not.

Sun, Wang, Dai and Van Gool, "Mining cross-image semantics for weakly supervised semantic
segmentation", ECCV 2020. Every place of a slice looks for its like in another slice
(:mod:`camzoo_baselines.co_attention`). What it finds there has to show the tags that both slices
have. A gate hides the places of the slice that found something shared, and what is left has to show
the tags that the other slice lacks (contrastive co-attention). The map of an organ is the mean of
what a slice finds in several others that show it.

Where the data have one organ, a pair shares it, or one slice alone has it, or none. If both have
it, what each finds has to show it, and what is left must not. If one has it, what either finds in
the other must not show it: places of the slice without it learn not to look at the organ in the
slice with it. And what is left of the slice with it has to show it: the gate stays open where
nothing was shared. If none has it, nothing may show it. No loss is constant then, but only pairs of
a slice with the organ and one without it have a tag that is not shared.

What differs from the paper, and why:

- The backbone is that of the run, in the place of VGG-16, and training goes on from the shared
  classifier with its recipe, the trunk at a tenth of its rate; head, affinity and gate learn at the
  rate that the run has for heads.
- Pairs are made within a batch, each slice with one other, so that no slice goes through the
  trunk twice. Half of the partners are drawn among slices that share a tag, if there are any, the
  others among all; slices without an organ are learnt from. The authors' code draws all pairs among
  images that share a class: with one organ no tag would be left that is not shared.
- The classifier's own head reads what is found and what is left. The authors' code has a second
  head for both, which would have to learn from nothing in few steps.
- The affinity starts as the scaled dot product of features, and the gate at a half everywhere; in
  the authors' code both start at random.
- All three losses count in every batch from the first step on: the classifier knows the tags by
  then. The authors' code adds the contrastive one in its third epoch, and leaves it out of batches
  in which no tag is unshared.
- The authors' code also pairs each image with three altered copies of itself, in training and for
  its maps. That is left out: it would take four times as many pairs.
- The partners of maps are three slices for each organ that are drawn once, at the scale 1 and not
  mirrored; the authors' code draws three anew for every image and class. Validation slices have the
  same partners, which are training slices.
- The maps are cut at the threshold that is best on validation patients. The paper takes the
  background from a model of saliency, which knows no organs of MR.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.cams.base import CamMethod
from camzoo.cams.methods.activation import Cam
from camzoo.cams.pipeline import input_side, resize
from camzoo.core.errors import ConfigError
from camzoo.learning.objectives import ViewLoss
from camzoo.network.backbone import Classifier, Trainable
from camzoo.network.precision import autocast
from camzoo.segment.base import PseudoMaskBaseline, register_baseline
from camzoo.segment.maps import validated_cut
from camzoo_baselines.co_attention import CoAttention, carried
from camzoo_baselines.own_maps import feature_map, linear_weights, own_maps_of_both, probe
from camzoo_baselines.second_training import gentle, trained_on_tags

if TYPE_CHECKING:
    from camzoo.cams.view.feature_view import FeatureView
    from camzoo.segment.learning_context import BaselineContext


@register_baseline("mcis")
class Mcis(PseudoMaskBaseline):
    """Cuts what slices find of organs in others and trains the U-Net (Sun et al., ECCV 2020).

    Args:
        partners: Slices for each organ in which the maps are looked for; with 0 the maps are CAM.
        sharing: Share of the pairs of a training step that are drawn to have a tag in common.
        rate: Learning rate of the trunk, as a share of the classifier's.
    """

    title = "MCIS"
    paper = "Sun, ECCV 2020"
    cost = "a second training of the classifier on pairs of slices, and the U-Net"

    def __init__(self, partners: int = 3, sharing: float = 0.5, rate: float = 0.1) -> None:
        if partners < 0 or not 0 <= sharing <= 1 or rate <= 0:
            raise ConfigError(
                "mcis: expected partners >= 0, 0 <= sharing <= 1 and rate > 0, got "
                f"{partners}, {sharing} and {rate}"
            )
        self._partners, self._sharing, self._rate = partners, sharing, rate

    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Train on, and cut the maps at the threshold of the validation patients."""
        network = self._trained(context)
        method = self._method(context, network)
        return validated_cut(context, *own_maps_of_both(network.classifier, method, context))

    def _trained(self, context: BaselineContext) -> CoAttentionNet:
        config = gentle(context.config.training, self._rate)
        network = CoAttentionNet(context.classifier, config.crop)
        loss = partial(McisLoss, sharing=self._sharing)
        return trained_on_tags(context, network, config, loss, name="MCIS")

    def _method(self, context: BaselineContext, network: CoAttentionNet) -> CamMethod:
        if not self._partners:
            return Cam()
        rows = drawn_slices(context.train.tags, self._partners, context.generator)
        each = (partners_of(context, network, organ, those) for organ, those in enumerate(rows))
        return CoAttentiveCam(tuple(each))


class CoAttentionNet(Trainable):
    """A classifier, the affinity of its features across slices, and a gate.

    Attributes:
        gate: Weights of the gate's linear layer (W_B), [1, K].

    Args:
        classifier: Is copied; with average pooling and a linear layer behind its features.
        side: Side of its input in pixels.

    Raises:
        ConfigError: The classifier's head is another.
    """

    def __init__(self, classifier: Classifier, side: int) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(classifier).eval()
        _, channels = linear_weights(self.classifier, probe(self.classifier, side)).shape
        self.attention = CoAttention(channels)
        self.gate = nn.Parameter(torch.zeros(1, channels))
        self.to(classifier.device)

    @property
    def fresh(self) -> list[nn.Parameter]:
        """Parameters that learn faster: those of the classifier that do, affinity and gate."""
        return [*self.classifier.fresh, *self.attention.parameters(), self.gate]

    def forward(self, grey: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of slices, and what head and gate make of every place.

        Both are linear, and so is what the affinity does to features: they may as well read them
        before they are carried to another slice, which leaves fewer planes to carry.

        Args:
            grey: Slices on [0, 1], [B, H, W].

        Returns:
            Features [B, K, h, w], and CAM with one more plane, the gate's, [B, C + 1, h, w].
        """
        features = feature_map(self.classifier, grey)
        weights = torch.cat([linear_weights(self.classifier, features), self.gate])
        return features, torch.einsum("pk,bkyx->bpyx", weights, features)


@dataclass(frozen=True)
class McisLoss(ViewLoss[CoAttentionNet]):
    """Cross-entropy on the tags of slices, and on those that pairs share and do not (§3.1).

    Attributes:
        sharing: Share of the pairs that are drawn to have a tag in common.
    """

    sharing: float

    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of a batch."""
        with autocast(views.device, self.precision):
            outputs = self.network(views)
        features, planes = (each.float().flatten(2) for each in outputs)
        draws = torch.rand(len(tags), len(tags) + 1, device=tags.device)
        other = drawn_partners(tags, draws, self.sharing)
        affinity = self.network.attention(features, features[other])
        shared = tags * tags[other]
        first = pair_loss(carried(affinity, planes[other]), planes, tags, shared)
        second = pair_loss(carried(affinity.mT, planes), planes[other], tags[other], shared)
        logits = planes[:, :-1].mean(dim=2)
        own = F.binary_cross_entropy_with_logits(logits, tags)
        return own + (first + second) / 2, logits


def drawn_partners(tags: Tensor, draws: Tensor, sharing: float) -> Tensor:
    """Draw another slice of the batch for each one; a slice that is alone is its own partner.

    Args:
        tags: [B, C].
        draws: Uniform on [0, 1), [B, B + 1].
        sharing: Chance that a slice gets one of those that share a tag with it, if there are any;
            else it gets any of the others.

    Returns:
        Their numbers, int64 [B].
    """
    others = torch.eye(len(tags), device=tags.device) == 0
    alike = others & (tags @ tags.T > 0) & (draws[:, :1] < sharing)
    among = torch.where(alike.any(dim=1, keepdim=True), alike, others)
    return draws[:, 1:].where(among, -1).argmax(dim=1)  # of nothing but -1 the first: itself


def pair_loss(found: Tensor, own: Tensor, tags: Tensor, shared: Tensor) -> Tensor:
    """Losses of the two co-attentions on one slice of each pair.

    What was found in the other slice should show the shared tags. Where the gate says so it is
    taken off the slice, and what is left should show the tags that are not shared.

    Args:
        found: Class maps and the gate's plane, carried from the other slice, [B, C + 1, N].
        own: Those of the slice itself, [B, C + 1, N]; the gate's is not read.
        tags: Tags of the slice, [B, C].
        shared: Those that the other slice has, too, [B, C].
    """
    left = own[:, :-1] * (1 - found[:, -1:].sigmoid())
    common = F.binary_cross_entropy_with_logits(found[:, :-1].mean(dim=2), shared)
    return common + F.binary_cross_entropy_with_logits(left.mean(dim=2), tags - shared)


def drawn_slices(
    tags: NDArray[np.uint8], count: int, generator: torch.Generator
) -> list[NDArray[np.int64]]:
    """Draw up to ``count`` slices that show each organ, by tags [N, C]: rows of C organs."""
    rows = [np.flatnonzero(shown) for shown in tags.T]
    return [each[torch.randperm(len(each), generator=generator)[:count].numpy()] for each in rows]


@dataclass(frozen=True)
class Partners:
    """Slices that show an organ, in which others look for it.

    Attributes:
        keys: What places of others are multiplied with for their affinity, [R, K, M].
        maps: CAM of the organ, [R, M].
    """

    keys: Tensor
    maps: Tensor

    def found_by(self, features: Tensor) -> Tensor:
        """Return the mean of what slices find of the organ, [B, h, w], by features [B, K, h, w]."""
        places = features.flatten(2).mT
        found = [
            carried(places @ keys, organ[None])
            for keys, organ in zip(self.keys, self.maps, strict=True)
        ]
        return torch.stack(found).mean(dim=0).view(-1, *features.shape[2:])


@torch.no_grad()
def partners_of(
    context: BaselineContext, network: CoAttentionNet, organ: int, rows: NDArray[np.int64]
) -> Partners:
    """Run the network on training slices that others are to look at for an organ.

    Args:
        context: What the baseline was handed.
        network: Trained.
        organ: Number of the organ, from 0.
        rows: Training slices that show it, [R].
    """
    config, device = context.config, context.device
    grey = resize(context.train.grey(rows, device), input_side(config.maps.side, 1.0))
    with autocast(device, config.training.precision):
        outputs = network(grey)
    features, planes = (each.float().flatten(2) for each in outputs)
    return Partners(network.attention.keys(features), planes[:, organ])


@dataclass(frozen=True)
class CoAttentiveCam(CamMethod):
    """The mean of what a slice finds of an organ in slices that show it (§3.2).

    Attributes:
        partners: Those of each organ.
    """

    partners: tuple[Partners, ...]

    @torch.no_grad()
    def saliency(self, view: FeatureView) -> Tensor:
        """Return the co-attentive maps, [B, C, h, w]."""
        return torch.stack([each.found_by(view.features) for each in self.partners], dim=1)
