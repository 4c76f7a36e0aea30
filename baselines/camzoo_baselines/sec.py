"""SEC: a segmentation network learns a few sure pixels, how much there should be, and edges.

Kolesnikov and Lampert, "Seed, expand and constrain: three principles for weakly-supervised image
segmentation", ECCV 2016. Three losses train the network. *Seed*: where CAM is sure, so be the
network. *Expand*: the probability of an organ that a slice shows, averaged over pixels with weights
that fall with its rank, is to be high, that of one that it does not show nowhere. *Constrain*: the
network is to agree with what a CRF makes of it, which follows the edges of the slice.

What differs from the paper, and why:

- The network is the common U-Net with its recipe, not DeepLab on a grid of 41 x 41. It learns the
  seeds on its own grid; the other two losses are taken on a coarse one: the CRF costs time.
- Weights of the rank pooling are meant for 41 x 41 pixels and spread over the ranks of other grids.
- The decay for organs is 0.956, not 0.996: 95 % of the weight then falls to 4 % of the pixels, what
  prostates fill of the slices that show them, and not to 45 %. The loss asks for as much in every
  slice, so that small sections come out too large.
- Cues are CAM above a high threshold, where several organs are the largest of them, and the
  background where all are below a low one, that of DSRG. The paper takes all above a fifth of the
  maximum, which in broad maps of organs is far more than the organ, and a saliency network for the
  background. With a low threshold of 0.3 what was left open was filled: volumes of prostates came
  out 2.1 to 7.2 times as large as the gland.
- Cues of organs and of the background are averaged apart, as in DSRG. The paper's one mean is for
  objects that fill much of a picture. Of prostates 3 % of the cues are the organ's: after 200 steps
  what expands lay in the air around the body, where it cost less than it gained.
- Slices without an organ, which the paper's data lacks, are cues of the background all over. So is
  what a rotation turns in.
- The kernels of the CRF are narrower than the paper's (80 pixels, 13 grey levels in each of three
  channels), which run over the edges of organs, and half of its ten rounds are run.
- No gradient runs through the CRF. The authors' code hands a rough one back.
- There is no CRF when slices are predicted: all baselines predict alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from camzoo.core.errors import ConfigError
from camzoo.refine.crf import CrfSettings
from camzoo.segment.base import UNetBaseline, register_baseline
from camzoo_baselines.seeds import (
    Seeding,
    SeedingLoss,
    balanced_seed_loss,
    train_seeded,
)
from camzoo_baselines.weighted_means import masked_mean, rank_pooled

if TYPE_CHECKING:
    from camzoo.segment.learning_context import BaselineContext

#: Pixels of the grid that the paper's decays are meant for.
_PIXELS: Final = 41 * 41


@register_baseline("sec")
class Sec(UNetBaseline):
    """Learns cues, sizes by rank and edges (Kolesnikov and Lampert, ECCV 2016).

    Args:
        high: Maps above this are cues of their organ.
        low: Where all maps are below this is a cue of the background.
        organ_decay: Weight of a pixel over that of the next more probable one, for organs, on 41 x
            41 pixels; 0 looks at the most probable pixel alone, 1 at all alike.
        background_decay: Likewise, for the background.
        grid: Side of the coarse grid in pixels; that of the network where it is smaller.
        reach: Standard deviation of the CRF's places in pixels of 512 x 512 slices.
        intensity: That of its grey levels of 8 bit.
        iterations: Its rounds.

    Raises:
        ConfigError: A value is out of its range.
    """

    title = "SEC"
    paper = "Kolesnikov, ECCV 2016"
    cost = "the U-Net, with a coarse CRF in each step"
    tuned = (
        "decay for organs (0.98 and 0.956), balance of the cues and their low threshold (0.3 and "
        "0.5), on validation patients of prostates (fold 0, seed 0)"
    )
    reads = ("cam",)

    def __init__(
        self,
        high: float = 0.7,
        low: float = 0.5,
        organ_decay: float = 0.956,
        background_decay: float = 0.999,
        grid: int = 64,
        reach: float = 20.0,
        intensity: float = 7.5,
        iterations: int = 5,
    ) -> None:
        crf = CrfSettings(iterations, bilateral_sxy=reach, bilateral_intensity=intensity)
        self._seeding = Seeding("sec", high, low, grid, crf)
        if not (0 <= organ_decay <= 1 and 0 <= background_decay <= 1):
            raise ConfigError(
                "sec: expected organ_decay and background_decay on [0, 1], got "
                f"{organ_decay} and {background_decay}"
            )
        self._decays = organ_decay, background_decay

    def fit(self, context: BaselineContext) -> None:
        """Take cues from CAM and train the U-Net with the three losses."""
        self.pseudo = self._seeding.cues(context)
        loss = SecLoss(*self._seeding.coarse(context), *self._decays)
        self._network = train_seeded(context, self.pseudo, loss, name="unet")
        self.images_per_second = self._network.images_per_second


@dataclass(frozen=True)
class SecLoss(SeedingLoss):
    """Seed, expand and constrain, all of weight 1.

    Attributes:
        organ_decay: Of :func:`expand_loss`.
        background_decay: Likewise.
    """

    organ_decay: float
    background_decay: float

    def compare(
        self, fine: Tensor, coarse: Tensor, _smooth: Tensor, cues: Tensor, tags: Tensor
    ) -> Tensor:
        """Return seed and expand."""
        decays = self.organ_decay, self.background_decay
        return balanced_seed_loss(fine, cues) + expand_loss(coarse, tags, *decays)


def expand_loss(
    probabilities: Tensor, tags: Tensor, organ_decay: float, background_decay: float
) -> Tensor:
    """Ask for much of what a slice shows, none of what it does not, and background (SEC, eq. 5).

    With G_c the rank-weighted mean of the probability of class c, mean over slices of::

        mean_(c shown) -log G_c + mean_(c not shown) -log(1 - max p_c) - log G_0

    Args:
        probabilities: [B, C + 1, h, w], off 0 and 1.
        tags: [B, C].
        organ_decay: Of G_c (:func:`rank_pooled`).
        background_decay: Of G_0.
    """
    background, organs = probabilities[:, :1], probabilities[:, 1:]
    shown = tags > 0
    much = masked_mean(-rank_pooled(organs, organ_decay, places=_PIXELS).log(), shown)
    none = masked_mean(-torch.log1p(-organs.amax(dim=(2, 3))), ~shown)
    rest = -rank_pooled(background, background_decay, places=_PIXELS)[:, 0].log()
    return (much + none + rest).mean()
