"""DSRG: a segmentation network learns from seeds that grow while it learns.

Huang et al., "Weakly-supervised semantic segmentation network with deep seeded region growing",
CVPR 2018. The network starts from the few pixels that CAM is sure of. In every step, pixels that it
has become sure of and that hang together with a seed of the same class are seeds as well. A CRF has
the network follow the edges of the slice, and what it finds in the training slices teaches a second
network.

What differs from the paper, and why:

- The networks are the common U-Net with its recipe, not DeepLab on a grid of 41 x 41. The second
  one starts anew, as the U-Net of every baseline does; the paper's goes on from the first.
- Seeds grow, and the CRF runs, on a coarse grid; seeds of CAM are learnt on the network's own.
- Seeds are CAM above a high and below a low threshold; the paper takes the background from a
  network for saliency. Organs grow until they meet seeds of the background, and nothing else bounds
  them. With a low threshold of 0.3, after 400 steps on prostates the labels were 2.4 times as large
  as the organ, which is how large maps are when they are cut there; hence 0.5.
- Slices without an organ, which the paper's data lacks, are seeds of the background all over. So is
  what a rotation turns in. Seeds of organs are averaged over the slices that have some.
- A pixel is a seed of one class. Seeds of CAM are so throughout, whatever the network says, also
  where components are found; in the authors' code what is sure takes their place there.
- The kernels of the CRF are narrower than the paper's (80 pixels, 13 grey levels in each of three
  channels), which run over the edges of organs, and half of its ten rounds are run. Its energies
  are -log p, as in the paper; the authors' code has -p.
- No gradient runs through the CRF. The authors' code hands a rough one back.
- There is no CRF behind the first network when its labels are taken, nor when slices are predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from camzoo.core.errors import ConfigError
from camzoo.data.labels import UNKNOWN
from camzoo.refine.crf import CrfSettings
from camzoo.segment.base import PseudoMaskBaseline, register_baseline
from camzoo_baselines.seeds import (
    Seeding,
    SeedingLoss,
    balanced_seed_loss,
    train_seeded,
)

if TYPE_CHECKING:
    from camzoo.data.slices import TaggedSlices
    from camzoo.segment.learning_context import BaselineContext
    from camzoo.segment.training import SegmentationNet

#: Training slices that are labelled at a time.
_PART: Final = 16


@register_baseline("dsrg")
class Dsrg(PseudoMaskBaseline):
    """Grows seeds while the U-Net learns, and learns what it found (Huang et al., CVPR 2018).

    Args:
        high: Maps above this are seeds of their organ.
        low: Where all maps are below this is a seed of the background.
        organ_sure: Seeds of an organ grow over pixels with a larger probability.
        background_sure: Likewise, for the background.
        grid: Side of the coarse grid in pixels; that of the network where it is smaller.
        reach: Standard deviation of the CRF's places in pixels of 512 x 512 slices.
        intensity: That of its grey levels of 8 bit.
        iterations: Its rounds.

    Raises:
        ConfigError: A value is out of its range.
    """

    title = "DSRG"
    paper = "Huang, CVPR 2018"
    cost = "2 U-Nets, one of them with a coarse CRF and region growing in each step"
    tuned = "threshold of the background's seeds, on training slices of prostates (fold 0, seed 0)"
    reads = ("cam",)

    def __init__(
        self,
        high: float = 0.7,
        low: float = 0.5,
        organ_sure: float = 0.85,
        background_sure: float = 0.99,
        grid: int = 64,
        reach: float = 20.0,
        intensity: float = 7.5,
        iterations: int = 5,
    ) -> None:
        crf = CrfSettings(iterations, bilateral_sxy=reach, bilateral_intensity=intensity)
        self._seeding = Seeding("dsrg", high, low, grid, crf)
        if not (0 <= organ_sure <= 1 and 0 <= background_sure <= 1):
            raise ConfigError(
                "dsrg: expected organ_sure and background_sure on [0, 1], got "
                f"{organ_sure} and {background_sure}"
            )
        self._sure = organ_sure, background_sure

    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Train a network from growing seeds and label the training slices by it."""
        cues = self._seeding.cues(context)
        loss = DsrgLoss(*self._seeding.coarse(context), *self._sure)
        network = train_seeded(context, cues, loss, name="unet from seeds")
        return found_labels(network, context.train)


@dataclass(frozen=True)
class DsrgLoss(SeedingLoss):
    """Balanced loss on seeds that have grown, and constrain.

    Attributes:
        organ_sure: Of :func:`grown`.
        background_sure: Likewise.
    """

    organ_sure: float
    background_sure: float

    def compare(
        self, fine: Tensor, _coarse: Tensor, smooth: Tensor, cues: Tensor, tags: Tensor
    ) -> Tensor:
        """Return the loss of seeds of the background and of organs, each a mean of its own."""
        return balanced_seed_loss(fine, self._grown(smooth, cues, tags))

    def _grown(self, smooth: Tensor, cues: Tensor, tags: Tensor) -> Tensor:
        """Grow cues [B, s, s] on the grid of ``smooth`` and bring what is new back to theirs."""
        coarse = _nearest(cues, smooth.shape[-1])
        labels = sure_labels(smooth, tags, self.organ_sure, self.background_sure)
        fine = _nearest(grown(coarse, labels, smooth.shape[1]), cues.shape[-1])
        return torch.where(cues == UNKNOWN, fine, cues)


def sure_labels(
    probabilities: Tensor, tags: Tensor, organ_sure: float, background_sure: float
) -> Tensor:
    """Label pixels whose most probable class, of those that the slice may show, is sure.

    Args:
        probabilities: [B, C + 1, h, w].
        tags: [B, C].
        organ_sure: What an organ has to exceed.
        background_sure: What the background has to exceed.

    Returns:
        int64 [B, h, w]: 0..C, UNKNOWN elsewhere.
    """
    possible = F.pad(tags > 0, (1, 0), value=True)[:, :, None, None]
    largest, label = probabilities.masked_fill(~possible, -1.0).max(dim=1)
    least = torch.where(label == 0, background_sure, organ_sure)
    return torch.where(largest > least, label, UNKNOWN)


def grown(seeds: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Let seeds grow over labels of their class that hang together with them, corners included.

    A component of a class, of seeds and labels, becomes seeds where one of its pixels is a seed of
    it (DSRG, algorithm 1, with 8 neighbours).

    Args:
        seeds: int64 [B, h, w]: below ``classes``, or UNKNOWN.
        labels: Of pixels that are sure, likewise.
        classes: Background included.

    Returns:
        Seeds, int64 [B, h, w]; those that were there stay.
    """
    every = torch.arange(classes, device=seeds.device)[:, None, None]
    regions = torch.where(seeds == UNKNOWN, labels, seeds)[:, None] == every
    found, label = flooded(seeds[:, None] == every, regions).max(dim=1)
    return torch.where(found, label, UNKNOWN)


def flooded(marks: Tensor, regions: Tensor) -> Tensor:
    """Return the 8-connected components of ``regions`` that hold a mark; bool [B, K, h, w] all.

    Marks spread by one pixel at a time, on the device, until nothing changes; the result is that
    of labelling components and keeping those with a mark.
    """
    reached = marks & regions
    while True:
        spread = (F.max_pool2d(reached.float(), 3, stride=1, padding=1) > 0) & regions
        if torch.equal(spread, reached):
            return reached
        reached = spread


def found_labels(network: SegmentationNet, slices: TaggedSlices) -> NDArray[np.uint8]:
    """Label slices by the most probable class that their tags allow: uint8 [N, s, s]."""
    labels = np.empty((len(slices), network.config.side, network.config.side), np.uint8)
    for which in slices.parts(_PART):
        probabilities = network.predict(slices.images(which))
        tags = slices.tag_tensor(which).to(probabilities.device)
        labels[which] = sure_labels(probabilities, tags, 0.0, 0.0).byte().cpu().numpy()
    return labels


def _nearest(labels: Tensor, side: int) -> Tensor:
    """Bring labels [B, s, s] to a grid of another side."""
    planes = F.interpolate(labels[:, None].float(), size=(side, side), mode="nearest-exact")
    return planes[:, 0].long()
