"""FickleNet: a window slides over the features, and what it sees of each place is left to chance.

Lee, Kim, Lee, Lee and Yoon, "FickleNet: Weakly and semi-supervised semantic image segmentation
using stochastic inference", CVPR 2019. Behind the trunk lies a convolution with a wide kernel; its
mean over all places is the score of a class. Wherever it is laid, most of what lies under it is
dropped at random, all channels of a cell at once, but never the cell in its centre. It is trained
so, and at test time every new draw gives a slice another map (gradient times feature). A pixel is
the organ's if any of many maps says so.

What differs from the paper, and why:

- The backbone is that of the run, in the place of VGG-16, and training goes on from the shared
  classifier with its recipe, the trunk at a tenth of its rate, the kernel at the rate that the run
  has for heads. Every tap starts as the head over the number of taps, so that the expected logits
  are at first those of the head but for the border; the paper's kernel starts at random.
- The kernel spans 72 pixels as in the paper, where that is 9 cells of stride 8: 5 of stride 16.
- The paper lays every window out beside the others, drops in there and convolves without overlap.
  Kernel and pooling are linear: here each tap is first applied to all cells, and what was drawn is
  summed afterwards. The numbers are the same, and the gradient is had without a pass backwards.
- Cells that are kept are scaled by 1 / (1 - drop), as is usual in dropout, and the centre is not.
- Gradients are multiplied with features place by place. Their mean over places, as in Grad-CAM,
  hardly knows what was drawn: on the prostates of one fold, after some 300 steps and at one scale,
  labels of training slices were right to a pooled DSC of 70.0 so, and to 70.1 where nothing was
  dropped. Place by place it was 64.9, 67.5 and 68.8 with 1, 20 and 200 draws; on validation
  patients, whose masks chose the threshold, 62.5, 64.6 and 68.4, and 67.2 with nothing dropped.
- All slices of a batch see the same draws at test time, so that a slice gets the same map in any.
- The map is the largest of all draws at every pixel: it lies above a threshold where any of them
  does. The harness sums it over views, normalises it once and cuts it at the threshold that is best
  on validation patients; the paper cuts each map at 0.35 and takes the background from a model of
  saliency, which knows no organs of MR.
- The paper's last network is DSRG; here it is the common U-Net.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.cams.base import CamMethod
from camzoo.core.errors import ConfigError
from camzoo.learning.objectives import ViewLoss
from camzoo.network.backbone import Classifier, Trainable
from camzoo.network.precision import autocast
from camzoo.segment.base import PseudoMaskBaseline, register_baseline
from camzoo.segment.maps import validated_cut
from camzoo_baselines.cells import in_cells, odd
from camzoo_baselines.own_maps import (
    feature_map,
    linear_weights,
    own_maps_of_both,
    probe,
)
from camzoo_baselines.second_training import gentle, trained_on_tags

if TYPE_CHECKING:
    from camzoo.cams.view.feature_view import FeatureView
    from camzoo.segment.learning_context import BaselineContext

#: Draws whose maps are held at a time.
_FEW: Final = 8


@register_baseline("ficklenet")
class FickleNet(PseudoMaskBaseline):
    """Cuts the largest of many random maps and trains the U-Net (Lee et al., CVPR 2019).

    Args:
        drop: Chance of a cell under the kernel, other than its centre, to be dropped.
        kernel: Side of the kernel in cells of 8 pixels; the odd number of the trunk's own cells
            that is nearest is taken, at least 3.
        draws: Random maps of every view.
        rate: Learning rate of the trunk, as a share of the classifier's.
    """

    title = "FickleNet"
    paper = "Lee, CVPR 2019"
    cost = "a second training of the classifier with a random head, and the U-Net"

    def __init__(
        self, drop: float = 0.9, kernel: float = 9.0, draws: int = 200, rate: float = 0.1
    ) -> None:
        if not (0 <= drop < 1 and kernel > 0 and draws > 0 and rate > 0):
            raise ConfigError(
                "ficklenet: expected 0 <= drop < 1, kernel > 0, draws > 0 and rate > 0, got "
                f"{drop}, {kernel}, {draws} and {rate}"
            )
        self._drop, self._kernel, self._draws, self._rate = drop, kernel, draws, rate

    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Train on, and cut the maps at the threshold of the validation patients."""
        network = self._trained(context)
        method = FickleCam(network, self._draws, seed=context.seed)
        return validated_cut(context, *own_maps_of_both(network.classifier, method, context))

    def _trained(self, context: BaselineContext) -> RandomHead:
        config = gentle(context.config.training, self._rate)
        network = RandomHead(context.classifier, config.crop, self._kernel, self._drop)
        return trained_on_tags(context, network, config, FickleLoss, name="FickleNet")


class RandomHead(Trainable):
    """A trunk, and a convolution from whose windows cells are dropped at random.

    Attributes:
        size: Side of the kernel in cells, odd.
        drop: Chance of a cell other than the centre to be dropped.

    Args:
        classifier: Is copied; with average pooling and a linear layer behind its features.
        side: Side of its input in pixels.
        kernel: Side of the kernel in cells of 8 pixels.
        drop: As the attribute.

    Raises:
        ConfigError: The classifier's head is another.
    """

    def __init__(self, classifier: Classifier, side: int, kernel: float, drop: float) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(classifier).eval()
        seen = probe(self.classifier, side)
        self.size, self.drop = odd(in_cells(kernel, side, seen.shape[-1])), drop
        count = self.size**2
        head = linear_weights(self.classifier, seen).detach()
        self.taps = nn.Parameter(head[:, None].repeat(1, count, 1) / count)

    @property
    def fresh(self) -> list[nn.Parameter]:
        """Parameters that learn faster: the kernel."""
        return [self.taps]

    def answers(self, features: Tensor) -> Tensor:
        """Return what each tap of the kernel, [C, T, K], says of each cell: [B, C, T, h, w].

        Args:
            features: [B, K, h, w].
        """
        return torch.einsum("ctk,bkyx->bctyx", self.taps, features)

    def forward(self, grey: Tensor) -> Tensor:
        """Return one random map of each class, whose means are the logits, [B, C, h, w].

        Args:
            grey: Slices on [0, 1], [B, H, W]; each has a draw of its own.
        """
        answers = self.answers(feature_map(self.classifier, grey))
        draws = torch.rand(self.drawn(len(grey), answers), device=grey.device)
        kept = selection(draws, self.drop).to(answers.dtype)
        return torch.einsum("btyx,bctyx->bcyx", kept, answers)

    def drawn(self, count: int, answers: Tensor) -> tuple[int, int, int, int]:
        """Return how many random numbers so many selections of these cells take."""
        return count, self.size**2, answers.shape[-2], answers.shape[-1]


def selection(draws: Tensor, drop: float) -> Tensor:
    """Draw what windows keep, seen from the cells: does the window that has cell v under tap t?

    Every cell lies under every tap of exactly one window, so that each answer is drawn once.

    Args:
        draws: Uniform on [0, 1), [N, T, h, w]; taps are those of a square kernel, row by row.
        drop: Chance to be dropped.

    Returns:
        Weights [N, T, h, w]: 0 for what is dropped, 1 / (1 - drop) for what is kept, 1 under the
        centre, and 0 where the window would be centred outside of the map.
    """
    weights = (draws >= drop).float() / (1 - drop)
    weights[:, draws.shape[1] // 2] = 1
    return weights * _windows(draws)


def _windows(draws: Tensor) -> Tensor:
    """Whether there is a window that has cell v under tap t, 0 or 1: [T, h, w]."""
    rows, columns = (_inside(side, draws) for side in draws.shape[2:])
    return (rows[:, None, :, None] & columns[None, :, None, :]).flatten(0, 1).float()


def _inside(side: int, draws: Tensor) -> Tensor:
    """Whether the window that has place v of a line under tap t is centred on it: [size, side]."""
    size = math.isqrt(draws.shape[1])
    taps, places = (torch.arange(count, device=draws.device) for count in (size, side))
    centres = places - (taps[:, None] - size // 2)
    return (centres >= 0) & (centres < side)


class FickleLoss(ViewLoss[RandomHead]):
    """Binary cross-entropy on tags of what a random selection says."""

    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of a batch."""
        with autocast(views.device, self.precision):
            maps = self.network(views)
        logits = maps.float().mean(dim=(2, 3))
        return F.binary_cross_entropy_with_logits(logits, tags), logits


@dataclass(frozen=True)
class FickleCam(CamMethod):
    """The largest of many random maps at every place.

    Attributes:
        network: Trained.
        draws: How many maps.
        seed: Seed of what is drawn.
    """

    network: RandomHead
    draws: int
    seed: int

    @torch.no_grad()
    def saliency(self, view: FeatureView) -> Tensor:
        """Return the maxima over draws, [B, C, h, w]."""
        answers = self.network.answers(view.features)
        generator = torch.Generator().manual_seed(self.seed)
        largest = torch.full_like(answers[:, :, 0], -torch.inf)
        for start in range(0, self.draws, _FEW):
            shape = self.network.drawn(min(_FEW, self.draws - start), answers)
            draws = torch.rand(shape, generator=generator).to(answers.device)
            kept = selection(draws, self.network.drop)
            maps = torch.einsum("ntyx,bctyx->nbcyx", kept, answers)
            largest = torch.maximum(largest, maps.amax(dim=0))
        return largest
