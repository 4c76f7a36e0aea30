"""ISSOC-style: maps of a limited size, of which only what is sure is learnt.

A reconstruction, not the authors' method. ISSOC (Physics in Medicine and Biology 66(6) 065018,
2021) segments organs from tags and prior knowledge by means of confidence cues. The text of the
paper was not at hand; what stands here follows its abstract and an earlier program of its authors.
Its numbers must not be read as those of ISSOC. What differs from the paper cannot be said; this is
where the parts come from:

- From the earlier program: tags and a size penalty of 1e-3 on maps, where only the upper bound
  counts, and only in slices that show the organ.
- Chosen here: maps are rectified and divided by their maximum, as they are when they are cut. Above
  a high and below a low threshold they are cues, of weight 2 |map - 1/2|. The common U-Net learns
  them with the weights, background and organs balanced (else the background's are nearly all the
  weight), and with the same one-sided penalty on its own sizes.
- Where a tag says that an organ is there and its map is empty, what looks like background may be
  the organ: such slices have no cues of the background.
- For MR: training goes on from the shared classifier; one that starts anew can meet the bound by
  having no map at all. It sees whole slices, as a size in pixels needs one scale. Bounds are those
  of SizeLoss, in pixels at 256 x 256; an organ that is not listed has a very wide one.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from camzoo.cams.methods.activation import Cam
from camzoo.core.errors import ConfigError
from camzoo.core.supervision import Supervision
from camzoo.data.labels import UNKNOWN
from camzoo.learning.objectives import ViewLoss
from camzoo.network.backbone import Classifier
from camzoo.network.precision import autocast
from camzoo.segment.base import UNetBaseline, register_baseline
from camzoo.segment.losses import balanced_cross_entropy
from camzoo.segment.maps import resized_parts
from camzoo_baselines.own_maps import linear_cam, own_maps, unit
from camzoo_baselines.second_training import trained_on_tags
from camzoo_baselines.sizes import bounds_of, organ_sizes, size_penalty

if TYPE_CHECKING:
    from camzoo.segment.learning_context import BaselineContext


@register_baseline("issoc-style")
class IssocStyle(UNetBaseline):
    """Learns confidence cues of size-constrained maps; a reconstruction after ISSOC (PMB 2021).

    Args:
        bounds: Lower and upper bound of organs in pixels at 256 x 256, in the place of common ones.
            Only the upper one is used.
        map_weight: Weight of the size penalty on maps.
        weight: Weight of the size penalty on the U-Net.
        high: Maps above this are cues of their organ.
        low: Where all maps are below this is a cue of the background.
        rate: Learning rate, as a share of the classifier's.
    """

    title = "ISSOC-style"
    paper = "after ISSOC, PMB 2021 (reconstruction)"
    supervision = Supervision.IMAGE_SIZE
    cost = "a second training of the classifier, and the U-Net"

    def __init__(
        self,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        map_weight: float = 1e-3,
        weight: float = 1e-2,
        high: float = 0.7,
        low: float = 0.3,
        rate: float = 0.1,
    ) -> None:
        if min(map_weight, weight) < 0 or rate <= 0 or not 0 <= low <= high <= 1:
            raise ConfigError(
                "issoc-style: expected weights of 0 or more, rate > 0 and 0 <= low <= high <= 1, "
                f"got {map_weight}, {weight}, {rate}, {low} and {high}"
            )
        self._bounds, self._rate = dict(bounds or {}), rate
        self._map_weight, self._weight = map_weight, weight
        self._high, self._low = high, low

    def fit(self, context: BaselineContext) -> None:
        """Train the classifier, take cues from its maps, train the U-Net on them."""
        _, upper = bounds_of(context.train.organs, self._bounds)
        upper = upper.to(context.device)
        classifier = self._trained(context, upper)
        maps = own_maps(classifier, Cam(), context.train, context).maps
        side = context.config.segmentation.side
        labels, codes = self._cues(maps, context.train.tags > 0, side)
        self.pseudo = labels
        self.learn(context, codes, CuesAndSize(upper, self._weight))

    def _trained(self, context: BaselineContext, upper: Tensor) -> Classifier:
        config = context.config.training
        changes = {"lr": config.lr * self._rate, "resize": (config.crop, config.crop)}
        config = config.model_copy(update=changes)
        classifier = copy.deepcopy(context.classifier)
        loss = partial(TagsAndSize, upper=upper, weight=self._map_weight)
        return trained_on_tags(context, classifier, config, loss, name="classifier for size")

    def _cues(
        self, maps: NDArray[np.float16], shown: NDArray[np.bool_], side: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels and codes [N, side, side] of maps [N, C, s, s] of organs that are shown [N, C]."""
        labels, codes = np.empty((2, len(maps), side, side), np.uint8)
        for which, fine in resized_parts(maps, side):
            there = torch.from_numpy(shown[which])
            label, weight = confidence_cues(fine, there, self._high, self._low)
            labels[which] = label.numpy()
            codes[which] = encode(label, weight, maps.shape[1] + 1).numpy()
        return labels, codes


@dataclass(frozen=True)
class TagsAndSize(ViewLoss[Classifier]):
    """Cross-entropy on tags, and the penalty on maps that are too large.

    Attributes:
        upper: Bound of each organ in pixels at 256 x 256, [C].
        weight: Weight of the penalty, which is a mean over slices and organs.
    """

    upper: Tensor
    weight: float

    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of a batch."""
        with autocast(views.device, self.precision):
            images = self.network.normalise(views)
            features: Tensor = self.network.model.forward_features(images)  # type: ignore[operator]
            cam = linear_cam(self.network, features).float()
        logits = cam.mean(dim=(2, 3))
        excess = too_large(organ_sizes(unit(cam)), self.upper, tags)
        return F.binary_cross_entropy_with_logits(logits, tags) + self.weight * excess, logits


@dataclass(frozen=True)
class CuesAndSize:
    """Balanced cross-entropy on cues by their weights, and the penalty on sizes too large.

    Attributes:
        upper: Bound of each organ in pixels at 256 x 256, [C].
        weight: Weight of the penalty, which is a mean over slices and organs.
    """

    upper: Tensor
    weight: float

    def __call__(self, logits: Tensor, codes: Tensor, tags: Tensor) -> Tensor:
        """Return the loss of logits [B, C + 1, s, s], codes of cues [B, s, s] and tags [B, C]."""
        cues = balanced_cross_entropy(logits, *decode(codes, logits.shape[1]))
        excess = too_large(organ_sizes(logits.softmax(dim=1)[:, 1:]), self.upper, tags)
        return cues + self.weight * excess


def too_large(sizes: Tensor, upper: Tensor, tags: Tensor) -> Tensor:
    """Mean penalty on sizes [B, C] above the bounds [C], of organs that are there, [B, C]."""
    return (tags * size_penalty(sizes, torch.zeros_like(upper), upper)).mean()


def confidence_cues(maps: Tensor, shown: Tensor, high: float, low: float) -> tuple[Tensor, Tensor]:
    """Label what maps are sure of.

    Args:
        maps: Maps on [0, 1], zero for classes that are absent, [B, C, s, s].
        shown: Whether the slice shows the class, bool [B, C]. Where one is shown and its map is
            empty, nothing is known to be background.
        high: The largest map is above this: its class.
        low: It is below this: background.

    Returns:
        Labels uint8 [B, s, s], UNKNOWN in between, and weights 2 |map - 1/2|, [B, s, s].
    """
    largest, number = maps.max(dim=1)
    silent = (shown & (maps.amax(dim=(2, 3)) <= 0)).any(dim=1)
    labels = torch.where((largest < low) & ~silent[:, None, None], 0, UNKNOWN)
    labels = torch.where(largest > high, number + 1, labels)
    return labels.to(torch.uint8), (2 * largest - 1).abs()


def encode(labels: Tensor, weights: Tensor, classes: int) -> Tensor:
    """Write labels and weights into one byte, so that both go through the same random views.

    A class has as many levels of its weight as fit. Code 0 is background of weight 0: what lies
    outside of a rotated slice counts for nothing.

    Args:
        labels: uint8 [B, s, s]: below ``classes``, or UNKNOWN.
        weights: Weights on [0, 1], [B, s, s].
        classes: Background included.
    """
    levels = _levels(classes)
    codes = labels.long() * levels + (weights.clamp(0, 1) * (levels - 1)).round().long()
    return torch.where(labels == UNKNOWN, UNKNOWN, codes).to(torch.uint8)


def decode(codes: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return the labels, int64, and the weights of codes; unknown is background of weight 0."""
    levels = _levels(classes)
    known = codes.where(codes != UNKNOWN, 0)
    return known // levels, (known % levels).float() / (levels - 1)


def _levels(classes: int) -> int:
    """How many levels of weight each class has below UNKNOWN.

    Raises:
        ConfigError: There are too many classes for two levels.
    """
    levels = UNKNOWN // classes
    if levels < 2:
        raise ConfigError(f"issoc-style takes up to 126 organs, got {classes - 1}")
    return levels
