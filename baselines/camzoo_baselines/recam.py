"""ReCAM: the classifier learns to tell apart what its own maps show.

Chen, Wang, Wu, Hua, Zhang and Sun, "Class re-activation maps for weakly-supervised semantic
segmentation", CVPR 2022. Binary cross-entropy lets a map of one class light up for others. The
features of a slice, weighed by the map of a class it shows and averaged, are therefore classified
once more, by a second layer with a softmax over the classes, which cannot answer to two at once.
Maps are read with the weights of both layers multiplied.

What differs from the paper, and why:

- The backbone is that of the run, and training goes on from the shared classifier with its recipe,
  trunk and head at a tenth of its rate and the second layer at the rate that the run has for heads.
  The authors' trunk learns at 1/2000 of its rate before, and the second layer ten times as fast.
- With one organ the softmax is constant and teaches nothing. There the second layer tells, by a
  sigmoid, the features under the map from those outside, which are weighed by 1 minus the map.
- Slices without an organ are learnt from by their tags, and do not count in the softmax loss; the
  paper's images all show a class.
- IRNet, which refines the paper's final masks, is left out. What is compared are the maps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
from camzoo_baselines.own_maps import feature_map, linear_cam, own_maps_of_both, unit
from camzoo_baselines.second_training import gentle, trained_on_tags

if TYPE_CHECKING:
    from camzoo.cams.view.feature_view import FeatureView
    from camzoo.segment.learning_context import BaselineContext


@register_baseline("recam")
class Recam(PseudoMaskBaseline):
    """Cuts class re-activation maps and trains the U-Net (Chen et al., CVPR 2022).

    Args:
        weight: Weight of the softmax loss; 1 in the authors' code.
        rate: Learning rate of trunk and head, as a share of the classifier's.
    """

    title = "ReCAM"
    paper = "Chen, CVPR 2022"
    cost = "a second training of the classifier with a second head, and the U-Net"

    def __init__(self, weight: float = 1.0, rate: float = 0.1) -> None:
        if weight < 0 or rate <= 0:
            raise ConfigError(f"recam: expected weight >= 0 and rate > 0, got {weight} and {rate}")
        self._weight, self._rate = weight, rate

    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Train on, and cut the maps at the threshold of the validation patients."""
        network = self._trained(context)
        maps = own_maps_of_both(network.classifier, ReactivatedCam(network), context)
        return validated_cut(context, *maps)

    def _trained(self, context: BaselineContext) -> RecamNet:
        config = gentle(context.config.training, self._rate)
        network = RecamNet(context.classifier, seed=context.seed)
        loss = partial(RecamLoss, weight=self._weight)
        return trained_on_tags(context, network, config, loss, name="ReCAM")


class RecamNet(Trainable):
    """A classifier with a second linear layer beside its head.

    Args:
        classifier: Is copied; with average pooling and a linear layer behind its features.
        seed: Seed of the second layer.
    """

    def __init__(self, classifier: Classifier, *, seed: int) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(classifier).eval()
        organs, channels = self.head_weights.shape
        with seeded(seed):
            self.second = nn.Linear(channels, organs, bias=False)
        self.second.to(classifier.device)

    @property
    def head_weights(self) -> Tensor:
        """Weights of the classifier's own head, [C, K]."""
        weight = self.classifier.head.weight
        assert isinstance(weight, Tensor)
        return weight.flatten(1)

    @property
    def fresh(self) -> list[nn.Parameter]:
        """Parameters that learn faster: the second layer."""
        return list(self.second.parameters())

    def forward(self, grey: Tensor) -> tuple[Tensor, Tensor]:
        """Return features [B, K, h, w] and CAM [B, C, h, w] of slices on [0, 1], [B, H, W]."""
        features = feature_map(self.classifier, grey)
        return features, linear_cam(self.classifier, features)


@dataclass(frozen=True)
class RecamLoss(ViewLoss[RecamNet]):
    """Binary cross-entropy on tags, and the softmax loss on what the maps show (eq. 6).

    Attributes:
        weight: Weight of the latter.
    """

    weight: float

    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of a batch."""
        with autocast(views.device, self.precision):
            features, cam = self.network(views)
        features, cam = features.float(), cam.float()
        logits = cam.mean(dim=(2, 3))
        again = reactivation_loss(self.network.second, features, unit(cam), tags)
        return F.binary_cross_entropy_with_logits(logits, tags) + self.weight * again, logits


def reactivation_loss(
    second: Callable[[Tensor], Tensor], features: Tensor, maps: Tensor, tags: Tensor
) -> Tensor:
    """Mean cross-entropy of the second layer on features under the maps of classes that are there.

    Args:
        second: From features [..., K] to scores [..., C].
        features: [B, K, h, w].
        maps: On [0, 1], [B, C, h, w].
        tags: [B, C].

    Returns:
        The mean over slices that show a class of the mean over their classes; 0 without any.
    """
    scores = second(_pooled(features, maps))
    batch, classes = tags.shape
    if classes == 1:
        outside = second(_pooled(features, 1 - maps))
        losses = (F.softplus(-scores) + F.softplus(outside))[..., 0] / 2
    else:
        own = torch.arange(classes, device=tags.device).repeat(batch)
        losses = F.cross_entropy(scores.flatten(0, 1), own, reduction="none").view(batch, classes)
    shown = tags.sum(dim=1)
    of_slices = (losses * tags).sum(dim=1) / shown.clamp(min=1)
    return of_slices.sum() / (shown > 0).sum().clamp(min=1)


def _pooled(features: Tensor, maps: Tensor) -> Tensor:
    """Average features [B, K, h, w] weighed by maps [B, C, h, w]: [B, C, K]."""
    return torch.einsum("bcyx,bkyx->bck", maps, features) / features[0, 0].numel()


class ReactivatedCam(CamMethod):
    """CAM with the weights of both layers multiplied.

    Args:
        network: Trained.
    """

    def __init__(self, network: RecamNet) -> None:
        self._network = network

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the weighted sum of the features, [B, C, h, w]."""
        weights = (self._network.head_weights * self._network.second.weight).detach().float()
        return torch.einsum("ck,bkhw->bchw", weights, view.features)
