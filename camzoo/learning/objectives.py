"""What training steps minimise: losses on tags, and on labels, of random views."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.data.labels import UNKNOWN
from camzoo.learning.augmentation import Augmentation, augment, augment_planes
from camzoo.network.backbone import Classifier
from camzoo.network.precision import autocast

if TYPE_CHECKING:
    from camzoo.config import Precision

#: From what a network says of views, float32 [b, ...], their labels int64 [b, s, s] and their tags
#: [b, C] to a scalar.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
N = TypeVar("N", bound=nn.Module)


class Objective(Protocol):
    """What a training step minimises."""

    def __call__(
        self, images: Tensor, indices: NDArray[np.int64], tags: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Return the loss and the logits [b, C] of a batch, None where tags are not predicted.

        Args:
            images: Slices on [0, 1], [b, S, S], as they are stored; to be augmented here.
            indices: Which of the slices they are, [b].
            tags: [b, C].
            generator: The only source of randomness, on the CPU.
        """


@dataclass(frozen=True)
class ViewLoss(ABC, Generic[N]):
    """An objective on random views of the slices and on their tags alone.

    Attributes:
        network: What learns.
        ranges: What views are drawn from.
        precision: Precision of the network.
    """

    network: N
    ranges: Augmentation
    precision: Precision

    def __call__(
        self,
        images: Tensor,
        indices: NDArray[np.int64],  # noqa: ARG002 - of the protocol
        tags: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of a batch."""
        return self.on_views(augment(images, self.ranges, generator), tags)

    @abstractmethod
    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits [b, C] of views [b, crop, crop] with tags [b, C]."""


class TagLoss(ViewLoss[Classifier]):
    """Binary cross-entropy of a classifier on the tags of augmented slices (P-CAM)."""

    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of a batch."""
        with autocast(views.device, self.precision):
            logits = self.network(self.network.normalise(views))
        return F.binary_cross_entropy_with_logits(logits.float(), tags), logits


@dataclass(frozen=True)
class LabelLoss:
    """Loss between what a network says of random views and labels seen through the same views.

    An :class:`Objective`. There are no logits of tags, hence no accuracy.

    Attributes:
        network: From views to anything.
        labels: uint8 [N, s, s] of any side s over the same field of view.
        ranges: What views are drawn from.
        precision: Precision of the network.
        side: Side of the labels of a view, in pixels of the network's output.
        loss: Compares both.
        outside: Label of what lies outside of the slice.
    """

    network: Callable[[Tensor], Tensor]
    labels: NDArray[np.uint8]
    ranges: Augmentation
    precision: Precision
    side: int
    loss: Loss
    outside: int = UNKNOWN

    def __call__(
        self, images: Tensor, indices: NDArray[np.int64], tags: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, None]:
        """Return the loss of a batch."""
        views, target = self.views(images, indices, generator)
        with autocast(images.device, self.precision):
            output = self.network(views)
        return self.loss(output.float(), target, tags), None

    def views(
        self, images: Tensor, indices: NDArray[np.int64], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return views on [0, 1], [b, crop, crop], and their labels int64 [b, side, side]."""
        planes = torch.from_numpy(self.labels[indices])[:, None]
        views, target = augment_planes(
            images,
            planes.to(images.device, non_blocking=True),
            self.ranges,
            generator,
            side=self.side,
            mode="nearest",
            fill=self.outside,
        )
        return views, target[:, 0].long()
