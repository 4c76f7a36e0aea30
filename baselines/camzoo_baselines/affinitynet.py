"""AffinityNet: the U-Net on CAM that walks between pixels with like features.

Ahn and Kwak, Learning pixel-level semantic affinity with image-level supervision for weakly
supervised semantic segmentation, CVPR 2018. Labels that CAM is sure of, by two exponents of the
background, teach a network features in which pixels of one region lie close together; the maps and
the background walk along these affinities.

What is not as in the paper:

- The backbone is that of the run, in the place of ResNet-38, read at its last three stages, all
  brought to stride 8. Rates, momentum and clipping are those of the run's classifier.
- The exponents are 0.5, 4 and 2, an eighth of the paper's: maps of organs are broad. On validation
  patients of ACDC and CHAOS 62 and 44 % of the pixels labelled as an organ are right with them, 42
  and 34 % with a half of the paper's; of those labelled background 99.8 and 96.7 %.
- The CRF is the narrow one of C-CAM's authors for MR: the paper's (80 pixels, 10 rounds) runs over
  the edges of organs. Distances are in pixels of 512 x 512 slices and shrink with them.
- Slices are jittered as the run does and mirrored, also where organs have a side (an affinity has
  none), but neither rescaled nor cropped, so that labels are made once per slice.
- The paper gives a pixel to the largest of organs and background after the walk. Here that is the
  threshold 0.5 of the organ's share in organ and background, and the threshold is the one that is
  best on validation patients: an exponent would otherwise decide how large organs are.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.core.errors import ConfigError
from camzoo.core.randomness import seeded
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.objectives import LabelLoss
from camzoo.network.backbone import Classifier, Trainable
from camzoo.network.precision import autocast
from camzoo.network.trunk_levels import run_stages, stage_channels, starting_point
from camzoo.refine.affinity import enlarged_parts
from camzoo.refine.affinity_loss import affinity_loss
from camzoo.refine.confidence import alpha_scores, labels_from_alphas, with_background
from camzoo.refine.crf import CrfSettings
from camzoo.refine.pair_affinity import affinity_from_features
from camzoo.refine.random_walk import random_walk
from camzoo.refine.scale import pair_radius
from camzoo.segment.base import PseudoMaskBaseline, register_baseline
from camzoo.segment.maps import validated_cut
from camzoo_baselines.own_maps import walked_maps

if TYPE_CHECKING:
    from camzoo.cams.map_arrays import MapArrays
    from camzoo.config import Precision, TrainingConfig
    from camzoo.data.slices import TaggedSlices
    from camzoo.segment.learning_context import BaselineContext

#: Pixels of the image per pixel of the features, along each side.
STRIDE: Final = 8
#: Channels that the last three stages are squeezed to.
_WIDTHS: Final = (64, 128, 256)


class AffinityNet(Trainable):
    """Features [B, K, ⌈H / 8⌉, ⌈W / 8⌉] whose distances are affinities (§3.2 of the paper).

    Each of the last three stages goes through a 1 x 1 convolution and an ELU, and all of them,
    side by side, through another one. The trunk learns, too.

    Args:
        classifier: Gives the trunk, which is copied.
        seed: Seed of the new layers.

    Raises:
        ConfigError: timm cannot give the stages of the trunk.
    """

    def __init__(self, classifier: Classifier, *, seed: int) -> None:
        super().__init__()
        self._classifier = copy.deepcopy(classifier).eval()
        channels = stage_channels(self._classifier)[-len(_WIDTHS) :]
        widths = _WIDTHS[-len(channels) :]
        with seeded(seed):
            self.squeeze = nn.ModuleList(
                nn.Conv2d(count, width, 1, bias=False)
                for count, width in zip(channels, widths, strict=True)
            )
            self.mix = nn.Conv2d(sum(widths), sum(widths), 1, bias=False)
            for layer in self.squeeze:
                nn.init.kaiming_normal_(layer.weight)  # type: ignore[arg-type]
            nn.init.xavier_uniform_(self.mix.weight, gain=4)

    def forward(self, grey: Tensor) -> Tensor:
        """Return the features of slices [B, H, W] on [0, 1]."""
        size = tuple(-(-side // STRIDE) for side in grey.shape[1:])
        stages = run_stages(self._classifier, grey)[-len(self.squeeze) :]
        planes = [
            F.interpolate(F.elu(squeeze(stage)), size=size, mode="bilinear", align_corners=False)
            for squeeze, stage in zip(self.squeeze, stages, strict=True)
        ]
        return F.elu(self.mix(torch.cat(planes, dim=1)))

    @property
    def fresh(self) -> list[nn.Parameter]:
        """The convolutions behind the trunk."""
        return [*self.squeeze.parameters(), *self.mix.parameters()]


@register_baseline("affinitynet")
class AffinityNetBaseline(PseudoMaskBaseline):
    """Cuts CAM after a walk over learnt affinities and trains the U-Net.

    Args:
        low_alpha: Exponent of the background for confident organs.
        high_alpha: Exponent for confident background.
        walk_alpha: Exponent for the background that walks.
        radius: Radius of pairs, in pixels of the features of a 512 x 512 slice.
        beta: Exponent of the affinities.
        exp_times: The walk takes 2 to the power of this many steps.
        epochs: Epochs of the affinity network; more where they come to fewer steps than the
            recipe of the classifier asks for.
        batch: Slices per step of its training.

    Raises:
        ConfigError: A value is out of its range.
    """

    title = "AffinityNet"
    paper = "Ahn, CVPR 2018"
    cost = "the backbone once more, on pairs of pixels, and the U-Net"
    tuned = "exponents of the background, on validation patients of ACDC and CHAOS (2 sets)"
    reads = ("cam",)

    def __init__(
        self,
        low_alpha: float = 0.5,
        high_alpha: float = 4.0,
        walk_alpha: float = 2.0,
        radius: float = 5.0,
        beta: float = 8.0,
        exp_times: int = 8,
        epochs: int = 8,
        batch: int = 8,
    ) -> None:
        if not (0 < low_alpha < high_alpha and walk_alpha > 0):
            raise ConfigError(
                "affinitynet: expected 0 < low_alpha < high_alpha and walk_alpha > 0, got "
                f"{low_alpha}, {high_alpha} and {walk_alpha}"
            )
        if not (radius > 0 and beta > 0 and exp_times >= 0 and min(epochs, batch) >= 1):
            raise ConfigError(
                "affinitynet: expected radius > 0, beta > 0, exp_times >= 0, epochs >= 1 and "
                f"batch >= 1, got {radius}, {beta}, {exp_times}, {epochs} and {batch}"
            )
        self._alphas = low_alpha, high_alpha
        self._walk_alpha = walk_alpha
        self._radius = radius
        self._beta, self._exp_times = beta, exp_times
        self._epochs, self._batch = epochs, batch

    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Learn affinities on positive training slices, then walk and cut."""
        network = self._learnt(context)
        train = self._walked(network, context.maps("cam"), context.train, context)
        val = self._walked(network, context.val_maps("cam"), context.val, context)
        return validated_cut(context, train, val)

    def _learnt(self, context: BaselineContext) -> AffinityNet:
        rows = context.train.positive_rows
        slices = context.train.at(rows)
        labels = self._labels(context.maps("cam").maps[rows], slices, context)
        start = starting_point(
            context.classifier, context.config.backbone, len(slices.organs), seed=context.seed
        )
        network = AffinityNet(start, seed=context.seed)
        recipe = self._recipe(context.config.training, slices.size)
        reach = self._reach(slices.size)

        def loss(features: Tensor, target: Tensor, _tags: Tensor) -> Tensor:
            return affinity_loss(affinity_from_features(features, reach), target)

        ranges = Augmentation.of(recipe, sided=False)
        objective = LabelLoss(network, labels, ranges, recipe.precision, labels.shape[-1], loss)
        context.minimise(objective, network, slices, recipe, name="affinities")
        return network.eval()

    def _recipe(self, training: TrainingConfig, side: int) -> TrainingConfig:
        whole = {"crop": side, "resize": (side, side), "rotate": 0.0, "rare": 0.0}
        return training.model_copy(update={**whole, "epochs": self._epochs, "batch": self._batch})

    def _reach(self, side: int) -> int:
        return pair_radius(self._radius, side)

    def _labels(
        self, maps: NDArray[np.float16], slices: TaggedSlices, context: BaselineContext
    ) -> NDArray[np.uint8]:
        """Labels of confident pixels on the grid of the features: scores are pooled, then cut."""
        side = -(-slices.size // STRIDE)
        crf = CrfSettings(iterations=1).on_slices(slices.size)
        labels = np.empty((len(slices), side, side), np.uint8)
        with context.reporter.stage("labels of confident pixels") as tick:
            parts = enlarged_parts(maps, slices, context.device, tick=tick)
            for which, fine, tags, grey in parts:
                low, high = (
                    F.adaptive_avg_pool2d(
                        alpha_scores(fine, tags, grey, alpha=alpha, crf=crf), side
                    )
                    for alpha in self._alphas
                )
                labels[which] = labels_from_alphas(low, high).cpu().numpy()
        return labels

    def _walked(
        self, network: AffinityNet, maps: MapArrays, slices: TaggedSlices, context: BaselineContext
    ) -> MapArrays:
        """Shares of the organs after the walk, for all slices."""
        precision = context.config.training.precision

        def walk(planes: Tensor, grey: Tensor) -> Tensor:
            return self.walk(network, planes, grey, precision=precision)

        return walked_maps(maps, slices, context, walk, normalisation="none")

    @torch.no_grad()
    def walk(
        self, network: AffinityNet, maps: Tensor, grey: Tensor, *, precision: Precision
    ) -> Tensor:
        """Walk and return the share of each organ in organ and background: y_c / (y_c + y_0).

        Args:
            network: Trained.
            maps: Normalised and gated by tags, [B, C, s, t].
            grey: Slices on [0, 1], [B, H, W].
            precision: Precision of the network.

        Returns:
            float32 [B, C, s, t]; above 0.5 where the organ beats the background.
        """
        with autocast(grey.device, precision):
            features = network(grey)
        affinity = affinity_from_features(features.float(), self._reach(grey.shape[-1]))
        planes = with_background(maps, self._walk_alpha)
        coarse = F.adaptive_avg_pool2d(planes, features.shape[2:])
        walked = random_walk(coarse, affinity, beta=self._beta, steps=2**self._exp_times)
        fine = F.interpolate(walked, maps.shape[2:], mode="bilinear", align_corners=False)
        background, organs = fine[:, :1], fine[:, 1:]
        return organs / (organs + background).clamp_min(torch.finfo(fine.dtype).tiny)
