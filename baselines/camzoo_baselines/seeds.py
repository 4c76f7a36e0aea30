"""What SEC and DSRG share: cues from maps, a U-Net whose loss sees the slices, and two losses.

Both train a segmentation network on a few pixels that CAM is sure of, and both have its answer
agree with what a CRF makes of it, which moves borders to edges of the slice (Kolesnikov and
Lampert, ECCV 2016; Huang et al., CVPR 2018). The CRF is run on a coarse grid, as in both papers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.core.errors import ConfigError
from camzoo.data.labels import UNKNOWN
from camzoo.refine.crf import CrfSettings, mean_field
from camzoo.segment.maps import resized_parts
from camzoo.segment.training import SegmentationNet, fit
from camzoo.segment.unet import build_unet
from camzoo_baselines.issoc import confidence_cues

if TYPE_CHECKING:
    from camzoo.segment.learning_context import BaselineContext

#: Added to every probability before they are divided by their sum (both papers' code).
LEAST: Final = 1e-4
#: Bounds of the ratio of the CRF's probability and the network's (both papers' code).
_RATIO: Final = (0.05, 20.0)


@dataclass(frozen=True)
class Seeding:
    """What both baselines are told of cues and CRF.

    Attributes:
        name: Of the baseline, for messages.
        high: Maps above this are cues of their organ.
        low: Where all maps are below this is a cue of the background.
        grid: Side of the coarse grid in pixels; that of the network where it is smaller.
        crf: The CRF, with kernels for slices of 512 x 512.

    Raises:
        ConfigError: The thresholds of the cues are not in order, or there is no grid.
    """

    name: str
    high: float
    low: float
    grid: int
    crf: CrfSettings

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1 or self.grid < 1:
            raise ConfigError(
                f"{self.name}: expected 0 <= low <= high <= 1 and grid >= 1, got {self.low}, "
                f"{self.high} and {self.grid}"
            )

    def cues(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Mark what CAM is sure of in the training slices, on the grid of the U-Net."""
        maps, side = context.maps("cam").maps, context.config.segmentation.side
        return cues_of_maps(maps, context.train.tags, side, high=self.high, low=self.low)

    def coarse(self, context: BaselineContext) -> tuple[int, CrfSettings]:
        """Return the side of the coarse grid, and the CRF with kernels for it."""
        grid = min(self.grid, context.config.segmentation.side)
        return grid, self.crf.on_slices(grid)


def cues_of_maps(
    maps: NDArray[np.float16], tags: NDArray[np.uint8], side: int, *, high: float, low: float
) -> NDArray[np.uint8]:
    """Mark what maps of tagged slices are sure of.

    A slice without an organ is background all over; in one that shows an organ whose map is empty,
    nothing is known to be background.

    Args:
        maps: Finished maps [N, C, s, s].
        tags: [N, C].
        side: Side of the cues in pixels.
        high: The largest map is above this: its organ.
        low: It is below this: background.

    Returns:
        uint8 [N, side, side]: 0 background, 1..C organs, UNKNOWN in between.
    """
    cues = np.empty((len(maps), side, side), np.uint8)
    for which, fine in resized_parts(maps, side):
        shown = torch.from_numpy(tags[which] > 0)
        cues[which] = confidence_cues(fine, shown, high, low)[0].numpy()
    return cues


class Beside(nn.Module):
    """A network that hands its views on behind its logits, for losses that need both.

    Args:
        network: From [B, 1, s, s] to logits [B, K, s, s].
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, views: Tensor) -> Tensor:
        """Return [B, K + 1, s, s], float32: the logits, and the views as the last plane."""
        logits: Tensor = self.network(views)
        return torch.cat([logits.float(), views.float()], dim=1)


@dataclass(frozen=True)
class SeedingLoss(ABC):
    """Loss on cues of a network that shows its views, by what it and a CRF say of every pixel.

    Attributes:
        grid: Side of the coarse grid that the CRF runs on, in pixels; not above the network's.
        crf: The CRF, with kernels for that grid.
    """

    grid: int
    crf: CrfSettings

    def __call__(self, output: Tensor, cues: Tensor, tags: Tensor) -> Tensor:
        """Return the loss (:data:`camzoo.learning.objectives.Loss`).

        Args:
            output: What :class:`Beside` returns, [B, C + 2, s, s].
            cues: int64 [B, s, s]: 0..C or UNKNOWN.
            tags: [B, C].
        """
        grey, fine = output[:, -1:], floored(output[:, :-1].softmax(dim=1))
        coarse, small = shrink(fine, self.grid), shrink(grey, self.grid)[:, 0]
        smooth = floored(mean_field(-coarse.detach().log(), small, self.crf))
        return self.compare(fine, coarse, smooth, cues, tags) + constrain_loss(coarse, smooth)

    @abstractmethod
    def compare(
        self, fine: Tensor, coarse: Tensor, smooth: Tensor, cues: Tensor, tags: Tensor
    ) -> Tensor:
        """Return the part of the loss that is the method's own.

        Args:
            fine: Probabilities of the network, [B, C + 1, s, s].
            coarse: Their means over the cells of the coarse grid, [B, C + 1, g, g].
            smooth: What the CRF makes of them, without gradients.
            cues: int64 [B, s, s].
            tags: [B, C].
        """


def floored(probabilities: Tensor) -> Tensor:
    """Keep probabilities [B, K, ...] off 0: (p + 1e-4) over the sum over classes."""
    raised = probabilities + LEAST
    return raised / raised.sum(dim=1, keepdim=True)


def shrink(planes: Tensor, side: int) -> Tensor:
    """Average planes [B, P, s, s] over the cells of a grid of ``side``, which is not finer."""
    return F.adaptive_avg_pool2d(planes, side)


def seed_loss(probabilities: Tensor, cues: Tensor, counted: Tensor) -> Tensor:
    """Mean over slices of the mean of -log p over their cues (SEC, eq. 2).

    Args:
        probabilities: [B, K, s, s].
        cues: int64 [B, s, s]: below K where ``counted``.
        counted: Which pixels are cues to learn from, bool [B, s, s].

    Returns:
        A scalar, over slices that have such cues; 0 where none has.
    """
    right = probabilities.gather(1, cues.where(counted, 0)[:, None])[:, 0]
    count = counted.sum(dim=(1, 2))
    each = (-right.log() * counted).sum(dim=(1, 2)) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


def balanced_seed_loss(probabilities: Tensor, cues: Tensor) -> Tensor:
    """Sum of the seed losses of background and of organs, however few of these there are (DSRG).

    Args:
        probabilities: [B, C + 1, s, s].
        cues: int64 [B, s, s]: 0..C or UNKNOWN.
    """
    background = cues == 0
    organs = ~background & (cues != UNKNOWN)
    return seed_loss(probabilities, cues, background) + seed_loss(probabilities, cues, organs)


def constrain_loss(probabilities: Tensor, smooth: Tensor) -> Tensor:
    """Mean over pixels of KL(Q || p) = sum_k Q_k log(Q_k / p_k), the ratio clipped (SEC, eq. 8).

    Args:
        probabilities: p, of the network, [B, K, g, g].
        smooth: Q, of the CRF, likewise.
    """
    ratio = (smooth / probabilities).clamp(*_RATIO)
    return (smooth * ratio.log()).sum(dim=1).mean()


def train_seeded(
    context: BaselineContext, cues: NDArray[np.uint8], loss: SeedingLoss, *, name: str
) -> SegmentationNet:
    """Train the common U-Net on cues, with a loss that sees what it sees.

    Args:
        context: What the baseline was handed.
        cues: uint8 [N, s, s], rows as in ``context.train``: 0..C or UNKNOWN.
        loss: What to minimise.
        name: Name of the network, and of its checkpoint.

    Raises:
        CamzooError: The loss is no longer finite.
    """
    config = context.config.segmentation
    unet = build_unet(len(context.train.organs) + 1, config.widths, seed=context.seed)
    with context.training(name) as session:
        trained = fit(Beside(unet), context.train, cues, config, loss, **session)
    return replace(trained, network=unet)
