"""MCTformer+: a transformer with a class token for every organ, whose attention is the map.

Xu, Ouyang, Bennamoun, Boussaid and Xu, "Multi-class token transformer for weakly supervised
semantic segmentation", CVPR 2022, and Xu, Bennamoun, Boussaid, Laga, Ouyang and Xu, "MCTformer+:
Multi-class token transformer for weakly supervised semantic segmentation", TPAMI 2024. Each class
token is to tell by the mean of its channels whether a slice shows its organ; a convolution on the
patches is to tell the same. A loss keeps the tokens of organs apart behind every block. A map is
where its token attends to and the convolution answers, carried on to the patches that attend there.

What differs from the papers, and why:

- The network is a DeiT-S of its own, as in the papers, with timm's weights for ImageNet, or without
  any where the run's classifier starts without. The shared classifier is not read.
- AdamW, its decay of weights and its rate are those of the CVPR paper's code for its batch of 64,
  whatever the batch. Length, batch, schedule, clipping and views are those of the run's classifier:
  600 steps with the preset quick, not some 10 000, and no RandAugment and random erasing.
- The decay of the rank pooling is meant for 28 x 28 patches, slices of 448 pixels, and spread over
  the ranks of other grids. That size is known from copies of the authors' code alone.
- That maps are the root of the product, and that the contrast weighs as much as the other losses,
  is known from there, too. The CVPR paper takes the product itself, and has no contrast.
- Slices without an organ are learnt from, and have no part in the contrast; the papers' images all
  show a class. With one organ there is nothing to be kept apart from, and that loss is 0.
- The floor that is left of a map, a mean over places, is taken away in every view; the authors do
  so once, after the sum of views.
- Views are those of the run, and the maps are cut at the threshold that is best on validation
  patients. AffinityNet, which refines the papers' final masks, is left out: maps are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from camzoo.cams.base import CamMethod
from camzoo.cams.pipeline import input_side
from camzoo.config import BackboneConfig
from camzoo.core.errors import ConfigError
from camzoo.core.ranges import Real, Takes, Whole
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import minimise, require_both_tags
from camzoo.learning.objectives import ViewLoss
from camzoo.learning.recipe import adamw
from camzoo.network.attention import attention_blocks
from camzoo.network.backbone import build_classifier, require_sides
from camzoo.network.precision import autocast
from camzoo.network.timm_names import require_model
from camzoo.segment.base import PseudoMaskBaseline, register_baseline
from camzoo.segment.maps import validated_cut
from camzoo_baselines.class_tokens import ClassTokenNet
from camzoo_baselines.own_maps import own_maps_of_both
from camzoo_baselines.weighted_means import masked_mean, rank_pooled

if TYPE_CHECKING:
    from camzoo.cams.view.feature_view import FeatureView
    from camzoo.segment.learning_context import BaselineContext

#: Weight decay, and the chance of the last block to be left out of a step (authors' code).
_WEIGHT_DECAY: Final = 0.05
_DROP_PATH: Final = 0.1
#: Patches of the grid that the decay is meant for.
_PATCHES: Final = 28 * 28
#: Images whose attention is held at a time: [heads, N, N] of each is gigabytes at large scales.
_FEW: Final = 4


@register_baseline("mctformer")
class MctFormer(PseudoMaskBaseline):
    """Cuts the attention of class tokens and trains the U-Net (Xu et al., TPAMI 2024).

    Args:
        backbone: A vision transformer of timm with a class token. Where it is the backbone of the
            run as well, its settings are those of the run.
        weights: What it starts from: "imagenet" (through timm), "none", or "run": the weights of
            the run, a file as well, where the backbone is that of the run; else "imagenet", or
            "none" where the run has none.
        layers: Blocks whose class tokens' attention makes maps, counted from the last one.
        decay: Weight of a patch over that of the next stronger one in the pooling, on 28 x 28
            patches; 1 is their mean, as in the CVPR paper.
        weight: Weight of the contrast of class tokens; 0 is the CVPR paper.
        refine: Whether maps are carried on to the patches that attend there.
        lr: Learning rate of the whole network at the start.

    Raises:
        UnknownNameError: timm does not know the backbone.
        ConfigError: A value is out of its range.
    """

    title = "MCTformer+"
    paper = "Xu, TPAMI 2024"
    cost = "a vision transformer of its own on the tags, and the U-Net"

    def __init__(
        self,
        backbone: str = "deit_small_patch16_224",
        weights: str = "run",
        layers: int = 12,
        decay: float = 0.996,
        weight: float = 1.0,
        refine: bool = True,
        lr: float = 6.25e-5,
    ) -> None:
        require_model(backbone)
        _WEIGHTS.require("mctformer: weights", weights)
        Whole(1, 1000).require("mctformer: layers", layers)
        Real(0, 1).require("mctformer: decay", decay)
        Real(0, 1e6).require("mctformer: weight", weight)
        Real(0, 100, above=True).require("mctformer: lr", lr)
        self._backbone, self._weights, self._layers = backbone, weights, layers
        self._decay, self._weight, self._refine, self._lr = decay, weight, refine, lr

    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Train the network and cut its maps at the threshold of the validation patients."""
        network = self._trained(context)
        method = ClassTokenCam(network, self._layers, refine=self._refine)
        return validated_cut(context, *own_maps_of_both(network.classifier, method, context))

    def _trained(self, context: BaselineContext) -> ClassTokenNet:
        require_both_tags(context.train)
        config, network = context.config.training, self._untrained(context)
        ranges = Augmentation.of(config, sided=context.train.sided)
        loss = TokenLoss(network, ranges, config.precision, self._weight, self._decay)
        recipe = adamw(config, lr=self._lr, weight_decay=_WEIGHT_DECAY)
        with context.training("class tokens") as session:
            minimise(loss, network, context.train, recipe, **session)
        return network.eval()

    def _untrained(self, context: BaselineContext) -> ClassTokenNet:
        """Make the network, and see to it that it takes all views and has the blocks."""
        config = context.config
        start = starting_config(config.backbone, self._backbone, self._weights)
        try:
            classifier = build_classifier(start, len(context.train.organs), seed=context.seed)
        except ConfigError as error:
            raise ConfigError(
                f"mctformer: {error} (a file of weights is read where backbone.name of the run is "
                f"{start.name}, too; the setting weights=none of mctformer needs none)"
            ) from error
        attention_blocks(classifier.model, self._layers, who="mctformer")
        scaled = [input_side(config.maps.side, scale) for scale in config.maps.scales]
        require_sides(classifier, [config.training.crop, *scaled])
        return ClassTokenNet(classifier, seed=context.seed)


_WEIGHTS: Final = Takes("run, imagenet or none", lambda text: text in ("run", "imagenet", "none"))


def starting_config(run: BackboneConfig, name: str, weights: str) -> BackboneConfig:
    """Return what a network of a baseline's own is built from; all of it is trained.

    Args:
        run: The backbone of the run, whose settings are taken where it is the same network.
        name: A timm model.
        weights: "run", "imagenet" or "none" (:class:`MctFormer`).
    """
    start = run
    if run.name != name:
        given = "none" if run.weights == "none" else "imagenet"
        start = BackboneConfig(name=name, weights=given, channels=run.channels)
    arguments = {"drop_path_rate": _DROP_PATH, **start.arguments}
    changes = {"frozen": 0, "stages": (), "arguments": arguments}
    own = {} if weights == "run" else {"weights": weights}
    return start.model_copy(update=changes | own)


@dataclass(frozen=True)
class TokenLoss(ViewLoss[ClassTokenNet]):
    """Losses of class tokens and of patches on the tags, and the contrast of class tokens.

    The multi-label soft margin loss of the papers is the mean binary cross-entropy.

    Attributes:
        weight: Weight of the contrast.
        decay: Of the rank pooling, on 28 x 28 patches.
    """

    weight: float
    decay: float

    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch, and the mean of both logits."""
        with autocast(views.device, self.precision):
            tokens, cam = self.network(views)
        tokens, cam = tokens.float(), cam.float()
        of_tokens = tokens[:, -1].mean(dim=2)
        of_patches = rank_pooled(cam, self.decay, places=_PATCHES)
        tagging = [
            F.binary_cross_entropy_with_logits(each, tags) for each in (of_tokens, of_patches)
        ]
        contrast = self.weight * token_contrast(tokens, tags)
        return torch.stack([*tagging, contrast]).sum(), (of_tokens + of_patches) / 2


def token_contrast(tokens: Tensor, tags: Tensor) -> Tensor:
    """How hard the class tokens of a slice are to tell apart (MCTformer+, contrastive class token).

    Cross-entropy of each token's cosines with all tokens of its block on its own number.

    Args:
        tokens: [B, L, C, D].
        tags: [B, C]; tokens of classes that are absent count in the cosines alone.

    Returns:
        The mean over slices that show a class of the mean over their classes and the L blocks;
        0 without any, or with one class.
    """
    units = F.normalize(tokens, dim=3)
    own = (units @ units.mT).log_softmax(dim=3).diagonal(dim1=2, dim2=3)
    of_slices = masked_mean(-own.mean(dim=1), tags > 0)
    return of_slices.sum() / tags.any(dim=1).sum().clamp(min=1)


class ClassTokenCam(CamMethod):
    """Where class tokens attend to and patches answer, spread among patches by their attention.

    Args:
        network: Trained.
        layers: Blocks whose class tokens' attention counts, from the last one.
        refine: Whether maps are spread.
    """

    def __init__(self, network: ClassTokenNet, layers: int, *, refine: bool) -> None:
        self._network, self._layers, self._refine = network, layers, refine

    @torch.no_grad()
    def saliency(self, view: FeatureView) -> Tensor:
        """Return the maps with a minimum of 0, [B, C, h, w]."""
        maps = torch.cat([self._maps(images) for images in view.images.split(_FEW)])
        return maps - maps.amin(dim=(2, 3), keepdim=True)

    def _maps(self, images: Tensor) -> Tensor:
        cam, attention = self._network.attended(images)
        maps = fused(cam, attention[-self._layers :])
        return spread(maps, attention) if self._refine else maps


def fused(cam: Tensor, attention: Sequence[Tensor]) -> Tensor:
    """Fuse CAM with the attention from class tokens to patches: sqrt(A_c2p * ReLU(CAM)).

    Args:
        cam: [B, C, h, w].
        attention: Of each block that counts, [B, N, N] from queries to keys: C class tokens come
            first, h w patches last.

    Returns:
        [B, C, h, w].
    """
    classes, patches = cam.shape[1], cam[0, 0].numel()
    seen = torch.stack([each[:, :classes, -patches:] for each in attention]).mean(dim=0)
    return (seen.view_as(cam) * cam.relu()).sqrt()


def spread(maps: Tensor, attention: Sequence[Tensor]) -> Tensor:
    """Give each patch the maps of the patches that it attends to: mean over blocks of A_p2p M.

    Args:
        maps: [B, C, h, w].
        attention: Of all blocks, as for :func:`fused`.

    Returns:
        [B, C, h, w].
    """
    flat, patches = maps.flatten(2), maps[0, 0].numel()
    each = [
        torch.einsum("bij,bcj->bci", block[:, -patches:, -patches:], flat) for block in attention
    ]
    return torch.stack(each).mean(dim=0).view_as(maps)
