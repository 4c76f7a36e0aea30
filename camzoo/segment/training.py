"""The common U-Net: its training on labels of slices, and what is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.cams.pipeline import resize
from camzoo.config import SegmentationConfig
from camzoo.data.slices import TaggedSlices, as_grey
from camzoo.learning.augmentation import Augmentation, mirrored
from camzoo.learning.loop import Session, minimise
from camzoo.learning.objectives import LabelLoss, Loss
from camzoo.learning.recipe import adam
from camzoo.network.precision import autocast
from camzoo.segment.learning_context import BaselineContext
from camzoo.segment.losses import cross_entropy_and_dice
from camzoo.segment.unet import build_unet


@dataclass(frozen=True)
class SegmentationNet:
    """A trained network.

    Attributes:
        network: From slices [B, 1, s, s] to logits [B, C + 1, s, s].
        config: What it was trained by.
        device: Where it computes.
        losses: Mean loss of every epoch.
        images_per_second: Training speed; None where an earlier call had trained it.
    """

    network: nn.Module
    config: SegmentationConfig
    device: torch.device
    losses: tuple[float, ...]
    images_per_second: float | None

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Return class probabilities float32 [n, C + 1, side, side] of uint8 slices [n, S, S]."""
        grey = resize(as_grey(images, self.device), self.config.side)
        self.network.eval()
        with autocast(self.device, self.config.precision):
            logits: Tensor = self.network(grey[:, None])
        return logits.float().softmax(dim=1)


def train_unet(
    context: BaselineContext,
    labels: NDArray[np.uint8],
    *,
    loss: Loss = cross_entropy_and_dice,
    name: str = "unet",
) -> SegmentationNet:
    """Train the common U-Net of a run on labels of its training slices.

    The weights end up in the context's folder as ``<name>.safetensors``; a call that finds them
    there does not train again, and one that was interrupted goes on from its last epoch.

    Args:
        context: What the baseline was handed.
        labels: uint8 [N, s, s], rows as in ``context.train``: 0..C or UNKNOWN (255).
        loss: Compares logits and labels; it sees the tags, too.
        name: Tells several networks of one baseline apart.

    Raises:
        CamzooError: The loss is no longer finite.
    """
    config = context.config.segmentation
    network = build_unet(len(context.train.organs) + 1, config.widths, seed=context.seed)
    with context.training(name) as session:
        return fit(network, context.train, labels, config, loss, **session)


def fit(
    network: nn.Module,
    slices: TaggedSlices,
    labels: NDArray[np.uint8],
    config: SegmentationConfig,
    loss: Loss = cross_entropy_and_dice,
    **session: Unpack[Session],
) -> SegmentationNet:
    """Train ``network`` in place on labels of slices.

    Args:
        network: From [B, 1, s, s] to logits [B, C + 1, s, s].
        slices: N slices with their tags.
        labels: uint8 [N, s, s] of any side over the same field of view: 0..C or UNKNOWN (255).
        config: Recipe.
        loss: Compares logits and labels; it sees the tags, too.
        **session: Seed, device, checkpoint and tick (:class:`~camzoo.learning.loop.Session`).

    Raises:
        CamzooError: The loss is no longer finite.
    """
    objective = UNetLoss.of(network, labels, config, loss, sided=slices.sided)
    trained = minimise(objective, network, slices, adam(config), **session)
    losses = tuple(epoch.loss for epoch in trained.epochs)
    return SegmentationNet(network, config, session["device"], losses, trained.images_per_second)


class UNetLoss(LabelLoss):
    """Loss on labels of a network that sees whole slices, small, as one channel."""

    @classmethod
    def of(
        cls,
        network: nn.Module,
        labels: NDArray[np.uint8],
        config: SegmentationConfig,
        loss: Loss,
        *,
        sided: bool,
    ) -> UNetLoss:
        """Take views and precision out of a recipe; what a rotation turns in is background."""
        side, flip = config.side, mirrored(config.flip, sided=sided)
        ranges = Augmentation(side, (side, side), config.rotate, config.jitter, flip)
        return cls(network, labels, ranges, config.precision, side, loss, outside=0)

    def views(
        self, images: Tensor, indices: NDArray[np.int64], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return views on [0, 1], [b, 1, side, side], and their labels int64 [b, side, side]."""
        views, target = super().views(resize(images, self.side), indices, generator)
        return views[:, None], target
