"""SEAM: maps that follow their slice when it is scaled, corrected by looks-alike of pixels.

Wang et al., "Self-supervised equivariant attention mechanism for weakly supervised semantic
segmentation", CVPR 2020. One network sees a slice at two sizes. Besides the tags it learns that the
maps of both agree, and a pixel correlation module (PCM) learns to spread a map over places that
look alike, supervised by the map of the other size.

What differs from the paper, and why:

- The backbone is that of the run, and training goes on from the shared classifier with its recipe,
  the trunk at a tenth of its rate. The paper's rate is a tenth of the usual classifier's, too. The
  head and the PCM learn at the rate that the run has for heads: the PCM starts where all places
  look alike. On few slices it stays near there (docs/short-trainings.md), and so do its maps.
- The small view has half the size, not 0.3 of it: that would be some 77 pixels of a slice of MR.
- The PCM reads one grey channel instead of RGB, and the two stages in front of the last one.
- There is no output for the background: the authors' code has one but overwrites it.
- Losses are taken on the grid of the small view's maps, not on enlarged ones.
- Losses weigh what they do with the 21 planes of the paper's data (20 classes and the background),
  whatever the number of organs. There the largest fifth of all differences takes in every class
  that an image shows, and the equivariance is a mean over 20 planes, most of them empty. A fifth of
  two planes would not take in one, and a mean over one would weigh 20 times as much.
- Slices without an organ are learnt from; the paper's images all show a class.
- The smallest value of the PCM's maps is taken away in every view; the authors' code does so once,
  after the sum of views (min-max). Means over places have a floor, which is no evidence.
- AffinityNet, which refines the paper's final masks, is left out. What is compared are the maps.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.cams.base import CamMethod
from camzoo.cams.methods.activation import Cam
from camzoo.cams.pipeline import input_side, resize
from camzoo.core.errors import ConfigError
from camzoo.core.randomness import seeded
from camzoo.learning.objectives import ViewLoss
from camzoo.network.backbone import Classifier, Trainable
from camzoo.network.precision import autocast
from camzoo.network.trunk_levels import run_stages, run_with_stages, stage_channels
from camzoo.segment.base import PseudoMaskBaseline, register_baseline
from camzoo.segment.maps import validated_cut
from camzoo_baselines.own_maps import linear_cam, own_maps_of_both, unit
from camzoo_baselines.second_training import gentle, trained_on_tags

if TYPE_CHECKING:
    from camzoo.cams.view.feature_view import FeatureView
    from camzoo.segment.learning_context import BaselineContext

#: Channels that the PCM takes from the two stages, and compares places in.
_WIDTHS: Final = (64, 128)
_SPACE: Final = 192
#: Images whose stages are read at a time: all of a batch would take gigabytes at large scales.
_FEW: Final = 4
#: Keeps divisions finite (authors' code).
_LEAST: Final = 1e-5


@register_baseline("seam")
class Seam(PseudoMaskBaseline):
    """Cuts the maps that the PCM gives and trains the U-Net (Wang et al., CVPR 2020).

    Args:
        scale: Size of the small view relative to the other.
        hard: Share of the largest differences that the PCM learns from.
        rate: Learning rate of the trunk, as a share of the classifier's.
        planes: Number of classes with the background for which the losses are weighed.
    """

    title = "SEAM"
    paper = "Wang, CVPR 2020"
    cost = "a second training of the classifier with two views and the PCM, and the U-Net"

    def __init__(
        self, scale: float = 0.5, hard: float = 0.2, rate: float = 0.1, planes: int = 21
    ) -> None:
        if not (0 < scale < 1 and 0 < hard <= 1 and rate > 0 and planes >= 2):
            raise ConfigError(
                "seam: expected 0 < scale < 1, 0 < hard <= 1, rate > 0 and planes >= 2, got "
                f"{scale}, {hard}, {rate} and {planes}"
            )
        self._scale, self._hard, self._rate, self._planes = scale, hard, rate, planes

    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Train the network and cut its maps at the threshold of the validation patients."""
        network = self._trained(context)
        maps = own_maps_of_both(network.classifier, CorrectedCam(network), context)
        return validated_cut(context, *maps)

    def _trained(self, context: BaselineContext) -> SeamNet:
        config = gentle(context.config.training, self._rate)
        network = SeamNet(context.classifier, seed=context.seed)
        loss = partial(SeamLoss, scale=self._scale, hard=self._hard, planes=self._planes)
        return trained_on_tags(context, network, config, loss, name="SEAM")


class PixelCorrelation(nn.Module):
    """Spreads maps over places that look alike (PCM, §3.3).

    Args:
        channels: Numbers of channels of the two stages that are read.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.reductions = nn.ModuleList(
            nn.Conv2d(count, width, 1, bias=False)
            for count, width in zip(channels, _WIDTHS, strict=True)
        )
        self.embedding = nn.Conv2d(1 + sum(_WIDTHS), _SPACE, 1, bias=False)
        for reduction in self.reductions:
            nn.init.kaiming_normal_(reduction.weight)  # type: ignore[arg-type]
        nn.init.xavier_uniform_(self.embedding.weight, gain=4)

    def forward(self, maps: Tensor, grey: Tensor, stages: Sequence[Tensor]) -> Tensor:
        """Return maps [B, P, h, w], each place the mean of those that look like it.

        Args:
            maps: [B, P, h, w].
            grey: The slices, [B, 1, H, W].
            stages: Features of the two stages, [B, K, y, x].
        """
        affinity = self.affinity(grey, stages, maps.shape[-2:])
        return torch.einsum("bij,bpj->bpi", affinity, maps.flatten(2)).view_as(maps)

    def affinity(self, grey: Tensor, stages: Sequence[Tensor], grid: Sequence[int]) -> Tensor:
        """Return how much place i looks like place j, [B, h w, h w]; rows sum to 1."""
        reduced = [
            F.relu(reduce(stage)) for reduce, stage in zip(self.reductions, stages, strict=True)
        ]
        planes = torch.cat([_on_grid(plane, grid) for plane in (grey, *reduced)], dim=1)
        places = F.normalize(self.embedding(planes).flatten(2), dim=1, eps=_LEAST)
        alike = torch.einsum("bki,bkj->bij", places, places).relu()
        return alike / alike.sum(dim=2, keepdim=True).clamp_min(_LEAST)


class SeamNet(Trainable):
    """A classifier with the PCM beside it.

    Args:
        classifier: Is copied; with average pooling and a linear layer behind its features.
        seed: Seed of the PCM.

    Raises:
        ConfigError: timm cannot give the stages of the trunk, or too few.
    """

    def __init__(self, classifier: Classifier, *, seed: int) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(classifier).eval()
        channels = stage_channels(self.classifier)[:-1][-len(_WIDTHS) :]
        if len(channels) < len(_WIDTHS):
            raise ConfigError(
                f"SEAM reads {len(_WIDTHS)} stages in front of the last one, "
                f"{type(self.classifier.model).__name__} has {len(channels)}: choose another "
                "backbone"
            )
        with seeded(seed):
            self.correlation = PixelCorrelation(channels)
        self.correlation.to(classifier.device)

    @property
    def fresh(self) -> list[nn.Parameter]:
        """Parameters that learn faster: those of the classifier that do, and the PCM."""
        return [*self.classifier.fresh, *self.correlation.parameters()]

    def forward(self, grey: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps of a batch, plain and corrected.

        Args:
            grey: Slices on [0, 1], [B, H, W].

        Returns:
            CAM [B, C, h, w], whose means are the logits, and the PCM's maps [B, C + 1, h, w],
            background first. No gradient goes from these to the classifier.
        """
        features, stages = run_with_stages(self.classifier, grey)
        cam = linear_cam(self.classifier, features).float()
        return cam, self.corrected(cam.detach(), grey, [stage.detach() for stage in stages])

    def corrected(self, cam: Tensor, grey: Tensor, stages: Sequence[Tensor]) -> Tensor:
        """Return what the PCM makes of CAM: [B, C + 1, h, w].

        Args:
            cam: [B, C, h, w].
            grey: The slices on [0, 1], [B, H, W].
            stages: All of the trunk's; the two in front of the last one are read.
        """
        read = stages[:-1][-len(_WIDTHS) :]
        with torch.autocast(grey.device.type, enabled=False):
            planes = [stage.float() for stage in read]
            spread: Tensor = self.correlation(strongest(unit(cam)), grey[:, None], planes)
        return spread


@dataclass(frozen=True)
class SeamLoss(ViewLoss[SeamNet]):
    """Losses of SEAM (§3.4): on tags, on equivariance, and across views on the PCM.

    Attributes:
        scale: Size of the small view relative to the other.
        hard: Share of the differences that the PCM learns from, the largest ones.
        planes: Number of classes with the background for which the losses are weighed.
    """

    scale: float
    hard: float
    planes: int

    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of a batch."""
        large, spread_large = self._maps(views)
        small, spread_small = self._maps(resize(views, input_side(self.ranges.crop, self.scale)))
        logits = large.mean(dim=(2, 3)), small.mean(dim=(2, 3))
        tagging = sum(F.binary_cross_entropy_with_logits(each, tags) for each in logits) / 2
        quiet = (suppression(spread_large, tags) + suppression(spread_small, tags)) / 2
        grid = small.shape[-2:]
        across = sum(
            cross_error(cam, spread, tags, hard=self.hard, planes=self.planes, grid=grid)
            for cam, spread in ((small, spread_large), (large, spread_small))
        )
        alike = equivariance_error(large, small, tags, planes=self.planes)
        return tagging + quiet + alike + across, logits[0]

    def _maps(self, views: Tensor) -> tuple[Tensor, Tensor]:
        with autocast(views.device, self.precision):
            cam, spread = self.network(views)
        return cam, spread


def equivariance_error(large: Tensor, small: Tensor, tags: Tensor, *, planes: int) -> Tensor:
    """Mean difference of the maps of two sizes of a slice, L_ER.

    Args:
        large: CAM of the large view, [B, C, h, w].
        small: CAM of the small view, [B, C, y, x]; the maps are compared on its grid.
        tags: [B, C]; maps of classes that are absent are zero.
        planes: Number of classes with the background over which the mean is taken, be there fewer.
    """
    gates = tags[:, :, None, None]
    apart = (gates * (_on_grid(unit(large), small.shape[-2:]) - unit(small))).abs()
    return apart.sum(dim=1).mean() / (planes - 1)


def cross_error(
    cam: Tensor, spread: Tensor, tags: Tensor, *, hard: float, planes: int, grid: Sequence[int]
) -> Tensor:
    """Mean of the largest differences between the PCM's maps and CAM of the other view, L_ECR.

    Args:
        cam: CAM of the other view, [B, C, h, w]; what the PCM's maps should be.
        spread: The PCM's maps, [B, C + 1, y, x].
        tags: [B, C].
        hard: Share of the places of all planes that counts.
        planes: Number of classes with the background, be there fewer: of those that are not there
            all differences are 0.
        grid: Grid to compare on.
    """
    gates = tags[:, :, None, None]
    wanted = strongest(_on_grid(unit(cam), grid) * gates).detach()
    found = _on_grid(unit(spread), grid) * F.pad(gates, (0, 0, 0, 0, 1, 0), value=1)
    apart = (wanted - found).abs().flatten(1)
    count = max(1, int(hard * planes * math.prod(grid)))
    return apart.topk(min(count, apart.shape[1]), dim=1).values.sum(dim=1).mean() / count


def suppression(spread: Tensor, tags: Tensor) -> Tensor:
    """Mean over the quarter of places where the PCM's maps [B, C + 1, h, w] are weakest.

    The paper's min pooling; it keeps the surroundings of organs low.
    """
    organs = (spread[:, 1:] * tags[:, :, None, None]).amax(dim=1).flatten(1)
    return organs.topk(max(1, organs.shape[1] // 4), dim=1, largest=False).values.relu().mean()


def strongest(maps: Tensor) -> Tensor:
    """Keep the largest class of each place and put the background in front: [B, C + 1, h, w].

    Args:
        maps: Maps on [0, 1], [B, C, h, w]. The background is 1 minus the largest.
    """
    largest = maps.amax(dim=1, keepdim=True)
    return torch.cat([1 - largest, torch.where(maps == largest, maps, 0)], dim=1)


class CorrectedCam(CamMethod):
    """Maps as the PCM gives them, above the floor that a mean over places has.

    Args:
        network: Trained.
    """

    def __init__(self, network: SeamNet) -> None:
        self._network = network
        self._cam = Cam()

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the PCM's maps of the organs with a minimum of 0, [B, C, h, w]."""
        classifier = self._network.classifier
        grey = (view.images * classifier.std + classifier.mean)[:, 0]
        parts = zip(self._cam.saliency(view).split(_FEW), grey.split(_FEW), strict=True)
        with torch.no_grad():
            spread = torch.cat([self._spread(cam, slices) for cam, slices in parts])
        return spread - spread.amin(dim=(2, 3), keepdim=True)

    def _spread(self, cam: Tensor, grey: Tensor) -> Tensor:
        stages = run_stages(self._network.classifier, grey)
        return self._network.corrected(cam, grey, stages)[:, 1:]


def _on_grid(planes: Tensor, grid: Sequence[int]) -> Tensor:
    """Bring planes [B, P, y, x] to a grid, averaging where they shrink."""
    if tuple(planes.shape[-2:]) == tuple(grid):
        return planes
    return F.interpolate(
        planes, size=tuple(grid), mode="bilinear", antialias=True, align_corners=False
    )
