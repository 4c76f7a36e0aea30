"""What networks minimise that learn from labels of pixels: refinement's own objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.config import TrainingConfig
from camzoo.core.precision import autocast
from camzoo.data.labels import UNKNOWN
from camzoo.learning.augmentation import augment_planes


@dataclass(frozen=True)
class LabelLoss:
    """Loss between what a network says of random views and labels seen through the same views.

    An :class:`~camzoo.learning.loop.Objective` of :func:`~camzoo.learning.loop.minimise`. There are
    no logits of tags, hence no accuracy. What is learnt has no side: unless ``flip`` of the recipe
    is "never", slices are mirrored.

    Attributes:
        network: From slices [B, crop, crop] on [0, 1] to anything.
        labels: uint8 [N, s, s] of any side s, UNKNOWN where nothing is known.
        config: Recipe.
        side: Of the labels of a view, in pixels of the network's output.
        loss: Of the output, float32, and the labels of the views, [B, side, side].
    """

    network: nn.Module
    labels: NDArray[np.uint8]
    config: TrainingConfig
    side: int
    loss: Callable[[Tensor, Tensor], Tensor]

    def __call__(
        self,
        images: Tensor,
        indices: NDArray[np.int64],
        tags: Tensor,  # noqa: ARG002 - of the protocol
        generator: torch.Generator,
    ) -> tuple[Tensor, None]:
        """Return the loss of a batch."""
        planes = torch.from_numpy(self.labels[indices])[:, None]
        views, target = augment_planes(
            images,
            planes.to(images.device, non_blocking=True),
            self.config,
            flip=self.config.flip != "never",
            generator=generator,
            side=self.side,
            mode="nearest",
            fill=UNKNOWN,
        )
        with autocast(images.device, self.config.precision):
            output = self.network(views)
        return self.loss(output.float(), target[:, 0]), None


def mean_over(losses: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of losses over what is chosen; 0 where nothing is.

    Args:
        losses: Finite, of any shape.
        chosen: bool, likewise.
    """
    return (losses * chosen).sum() / chosen.sum().clamp_min(1)
