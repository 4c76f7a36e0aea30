"""AME-CAM: a classifier with an exit behind every stage, whose maps are blended by attention.

Chen, Hu, Shi and Ho, "AME-CAM: Attentive multiple-exit CAM for weakly supervised segmentation on
MRI brain tumor", MICCAI 2023. Each of the last four stages has an exit, a 1 x 1 convolution that
learns the tags, so that there are maps of four resolutions. A small network sees the slice through
each of them and gives every place its blend. It learns without labels: what the blend shows of
slices should be alike, what it leaves out, too, and both unlike one another.

What differs from the paper, and why:

- The backbone is that of the run, and training goes on from the shared classifier with its recipe,
  the trunk at a tenth of its rate, exits and blend at the rate that the run has for heads. The
  paper trains a ResNet-18 from scratch after a round of contrastive learning.
- Maps are blended on a quarter of the side of the input, not on its own grid.
- Maps are stretched to [0, 1] before they are summed, not only where the attention reads them: 1
  minus the sum, which the loss takes for the background, is on [0, 1] then.
- Slices are compared organ by organ, and only those that show it. The paper has one class.
- The authors' code turns finished maps upside down. Here a map is evidence for its tag throughout.
- The maps are cut at the threshold that is best on validation patients; the authors' code
  post-processes them otherwise.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.cams.base import CamMethod
from camzoo.cams.methods.score_cam import to_unit
from camzoo.core.errors import ConfigError
from camzoo.core.randomness import seeded
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.objectives import ViewLoss
from camzoo.network.backbone import Classifier, Trainable
from camzoo.network.precision import autocast
from camzoo.network.trunk_levels import run_stages, stage_channels
from camzoo.segment.base import PseudoMaskBaseline, register_baseline
from camzoo.segment.maps import validated_cut
from camzoo_baselines.own_maps import own_maps_of_both
from camzoo_baselines.second_training import gentle, trained_on_tags

if TYPE_CHECKING:
    from camzoo.cams.view.feature_view import FeatureView
    from camzoo.segment.learning_context import BaselineContext

#: Exits, and channels between the convolutions of the attention.
_EXITS: Final = 4
_WIDTH: Final = 32
#: Pixels of the input per place of the blend, along a side.
_STRIDE: Final = 4
#: Bounds of a cosine, which keep its logarithm finite (authors' code).
_COSINES: Final = (0.0005, 0.9995)
#: Images that are blended at a time where nothing is learnt.
_FEW: Final = 4


@register_baseline("ame-cam")
class AmeCam(PseudoMaskBaseline):
    """Cuts maps blended from several exits and trains the U-Net (Chen et al., MICCAI 2023).

    Args:
        decay: How fast the weight of a pair of slices falls with its rank among the most similar.
        rate: Learning rate of the trunk, as a share of the classifier's.
    """

    title = "AME-CAM"
    paper = "Chen, MICCAI 2023"
    cost = "a second training of the classifier with exits, the attention, and the U-Net"

    def __init__(self, decay: float = 0.25, rate: float = 0.1) -> None:
        if decay < 0 or rate <= 0:
            raise ConfigError(f"ame-cam: expected decay >= 0 and rate > 0, got {decay} and {rate}")
        self._decay, self._rate = decay, rate

    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Train exits and attention, and cut the blend at the validation patients' threshold."""
        exits = self._exits(context)
        blend = self._blend(context, exits)
        maps = own_maps_of_both(exits.classifier, BlendedCam(exits, blend), context)
        return validated_cut(context, *maps)

    def _exits(self, context: BaselineContext) -> Exits:
        config = gentle(context.config.training, self._rate)
        exits = Exits(context.classifier, seed=context.seed)
        return trained_on_tags(context, exits, config, ExitLoss, name="exits")

    def _blend(self, context: BaselineContext, exits: Exits) -> Blend:
        config = context.config.training
        blend = Blend(_EXITS, seed=context.seed)
        ranges = Augmentation.of(config, sided=context.train.sided)
        loss = BlendLoss(blend, ranges, config.precision, exits, self._decay)
        context.minimise(loss, blend, context.train.positives(), config, name="blend of exits")
        return blend.eval()


class Exits(Trainable):
    """A trunk with a 1 x 1 convolution behind each of its last stages.

    Args:
        classifier: Is copied; its own head is not read.
        seed: Seed of the convolutions.

    Raises:
        ConfigError: timm cannot give the stages of the trunk, or too few.
    """

    def __init__(self, classifier: Classifier, *, seed: int) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(classifier).eval()
        channels = stage_channels(self.classifier)[-_EXITS:]
        if len(channels) < _EXITS:
            raise ConfigError(
                f"AME-CAM has {_EXITS} exits, and {type(classifier.model).__name__} has "
                f"{len(channels)} stages: choose another backbone"
            )
        organs = len(classifier.head.weight)  # type: ignore[arg-type]
        with seeded(seed):
            self.heads = nn.ModuleList(nn.Conv2d(count, organs, 1) for count in channels)
        self.heads.to(classifier.device)

    @property
    def fresh(self) -> list[nn.Parameter]:
        """Parameters that learn faster: the exits."""
        return list(self.heads.parameters())

    def forward(self, grey: Tensor) -> list[Tensor]:
        """Return the maps [B, C, h, w] of all exits, the finest first.

        Args:
            grey: Slices on [0, 1], [B, H, W].
        """
        stages = run_stages(self.classifier, grey)[-_EXITS:]
        return [head(stage) for head, stage in zip(self.heads, stages, strict=True)]


@dataclass(frozen=True)
class ExitLoss(ViewLoss[Exits]):
    """Cross-entropy of every exit on the tags; the last one weighs most (authors' code)."""

    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of the last exit."""
        with autocast(views.device, self.precision):
            maps = self.network(views)
        logits = [each.float().mean(dim=(2, 3)) for each in maps]
        losses = [F.binary_cross_entropy_with_logits(each, tags) for each in logits]
        weighed = [loss * (number + 1) / _EXITS for number, loss in enumerate(losses)]
        return torch.stack(weighed).sum(), logits[-1]


class Blend(Trainable):
    """Gives every place the weights of the exits' maps there.

    Args:
        exits: Number of maps M.
        seed: Seed of the convolutions.
    """

    def __init__(self, exits: int, *, seed: int) -> None:
        super().__init__()
        widths = (exits, _WIDTH, _WIDTH, _WIDTH, exits)
        with seeded(seed):
            self.layers = nn.Sequential(
                *itertools.chain.from_iterable(
                    (nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())
                    for i, o in itertools.pairwise(widths)
                )
            )

    @property
    def fresh(self) -> list[nn.Parameter]:
        """All of its parameters."""
        return list(self.parameters())

    def forward(self, maps: Tensor, grey: Tensor) -> Tensor:
        """Return the blend [N, h, w] of maps on [0, 1], [N, M, h, w], of slices [N, h, w]."""
        weights: Tensor = self.layers(maps * grey[:, None]).softmax(dim=1)
        return (weights * maps).sum(dim=1)


@dataclass(frozen=True)
class BlendLoss(ViewLoss[Blend]):
    """What a blend shows of slices is alike, what it leaves out is, too, and both are unlike.

    Attributes:
        exits: Trained; not changed.
        decay: How fast the weight of a pair falls with its rank.
    """

    exits: Exits
    decay: float

    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of the last exit."""
        with torch.no_grad(), autocast(views.device, self.precision):
            given = self.exits(views)
        maps, grey = on_one_grid(given, views)
        losses = []
        for of_class, tag in zip(maps.unbind(dim=1), tags.T, strict=True):
            shown = tag > 0
            if shown.any():
                blend = self.network(of_class[shown], grey[shown])
                losses.append(contrast(blend, grey[shown], self.decay))
        return torch.stack(losses).mean(), given[-1].float().mean(dim=(2, 3))


def on_one_grid(maps: list[Tensor], grey: Tensor) -> tuple[Tensor, Tensor]:
    """Bring maps of exits and their slices to a quarter of the side of the input.

    Args:
        maps: Of each exit, [B, C, h, w].
        grey: Slices on [0, 1], [B, H, W].

    Returns:
        Maps on [0, 1], [B, C, M, H / 4, W / 4], and slices [B, H / 4, W / 4].
    """
    height, width = (side // _STRIDE for side in grey.shape[1:])
    same = [F.interpolate(each.float(), size=(height, width), mode="bilinear") for each in maps]
    small = F.interpolate(grey[:, None], size=(height, width), mode="bilinear", antialias=True)
    return torch.stack([to_unit(each) for each in same], dim=2), small[:, 0]


def contrast(blend: Tensor, grey: Tensor, decay: float) -> Tensor:
    """Loss of blends on [0, 1], [N, h, w], of slices that show one class, [N, h, w].

    The three terms of C2AM (Xie et al., CVPR 2022), on pixels in the place of features.
    """
    inside, outside = ((part * grey).flatten(1) for part in (blend, 1 - blend))
    apart = -(1 - cosines(inside, outside)).log().mean()
    return alike(inside, decay) + apart + alike(outside, decay)


def alike(rows: Tensor, decay: float) -> Tensor:
    """Mean of -log cos over all pairs of rows [N, P], weighed by e^(-decay rank).

    The rank of the row that is most similar to another one is 0, and -1 that of the row itself.
    """
    similar = cosines(rows, rows)
    rank = similar.argsort(dim=1, descending=True).argsort(dim=1) - 1
    return (-similar.log() * (-decay * rank).exp()).mean()


def cosines(rows: Tensor, others: Tensor) -> Tensor:
    """Cosines [N, M] of rows [N, P] and others [M, P], kept off 0 and 1."""
    return (F.normalize(rows, dim=1) @ F.normalize(others, dim=1).T).clamp(*_COSINES)


class BlendedCam(CamMethod):
    """The blend of the exits' maps.

    Args:
        exits: Trained.
        blend: Trained.
    """

    def __init__(self, exits: Exits, blend: Blend) -> None:
        self._exits, self._blend = exits, blend

    @torch.no_grad()
    def saliency(self, view: FeatureView) -> Tensor:
        """Return the blends, [B, C, H / 4, W / 4]."""
        classifier = self._exits.classifier
        grey = (view.images * classifier.std + classifier.mean)[:, 0]
        return torch.cat([self._blended(some) for some in grey.split(_FEW)])

    def _blended(self, grey: Tensor) -> Tensor:
        maps, small = on_one_grid(self._exits(grey), grey)
        each = small[:, None].expand(*maps.shape[:2], -1, -1).flatten(0, 1)
        blend: Tensor = self._blend(maps.flatten(0, 1), each)
        return blend.view(*maps.shape[:2], *small.shape[1:])
