"""The contract of a baseline: learn from a context, then predict slices that have no tags."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import DataError
from camzoo.core.supervision import Supervision
from camzoo.data.labels import UNKNOWN
from camzoo.segment.registry import baselines

if TYPE_CHECKING:
    from torch import Tensor

    from camzoo.data.slices import TaggedSlices
    from camzoo.learning.objectives import Loss
    from camzoo.segment.learning_context import BaselineContext
    from camzoo.segment.training import SegmentationNet


class Baseline(ABC):
    """Learns to segment from what its supervision allows; the harness scores what it predicts.

    A baseline predicts class probabilities of slices, not a label volume: so one place, the
    harness, brings them to the grid of the scan before it takes the argmax, and no baseline gains
    or loses by how it resamples.

    Attributes:
        name: Its name in the registry, set on registration.
        title: Its name as its paper writes it, for lists.
        paper: First author, venue and year; "C-CAM-style" or the like where it is no replica.
        supervision: What it may see while it learns.
        cost: What training runs besides the shared classifier, in words.
        tuned: What was compared by means of masks before a setting became the default, and whose
            masks; empty where nothing was.
        control: True for what no paper proposes: a baseline has shown something where it beats it.
        reads: Names of the CAM methods whose maps :meth:`fit` asks its context for. The harness
            makes them beforehand.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    supervision: ClassVar[Supervision] = Supervision.IMAGE
    cost: ClassVar[str] = ""
    tuned: ClassVar[str] = ""
    control: ClassVar[bool] = False
    reads: tuple[str, ...] = ()

    #: Labels that were trained on, uint8 [N, s, s] with rows as in ``context.train``, set by
    #: :meth:`fit`: 0 background, 1..C organs, :data:`UNKNOWN`. The harness scores them, too.
    pseudo: NDArray[np.uint8] | None = None
    #: Training images per second of the segmentation network, set by :meth:`fit` where it can.
    images_per_second: float | None = None

    @abstractmethod
    def fit(self, context: BaselineContext) -> None:
        """Learn; called once, before any prediction."""

    @abstractmethod
    def predict(self, images: Tensor) -> Tensor:
        """Return class probabilities of slices, background first.

        Called without gradients, with slices of one volume in z order, a batch at a time. There are
        no tags at test time.

        Args:
            images: uint8 [n, S, S] on the CPU, the working grid.

        Returns:
            float32 [n, C + 1, s, s] on any device and of any side s: pixels of a finer or coarser
            square grid over the same field of view.
        """


class UNetBaseline(Baseline):
    """A baseline that ends in the common U-Net: same network, recipe and seed for all of them.

    :meth:`fit` calls :meth:`learn` with labels of the training slices, and a loss where the
    common one will not do.
    """

    _network: SegmentationNet | None = None

    def learn(
        self, context: BaselineContext, labels: NDArray[np.uint8], loss: Loss | None = None
    ) -> None:
        """Train the U-Net.

        Args:
            context: What :meth:`fit` was handed.
            labels: uint8 [N, s, s] of any side s, rows as in ``context.train``: 0 background, 1..C
                organs, :data:`UNKNOWN`.
            loss: Compares logits and labels (:data:`camzoo.learning.objectives.Loss`); None is
                cross-entropy plus soft Dice. What the numbers in ``labels`` mean, and how many
                there are, is the matter of a loss that is given.

        Raises:
            DataError: Without a loss: type, shape or values of the labels are not as said.
        """
        from camzoo.segment.losses import cross_entropy_and_dice
        from camzoo.segment.training import train_unet

        if loss is None:  # on CUDA a wrong label would end the process's use of the device
            require_labels(labels, context.train)
        self._network = train_unet(context, labels, loss=loss or cross_entropy_and_dice)
        self.images_per_second = self._network.images_per_second

    def predict(self, images: Tensor) -> Tensor:
        """Return the softmax of the U-Net on its own grid."""
        if self._network is None:
            raise RuntimeError(f"{type(self).__name__}.predict was called before fit")
        return self._network.predict(images)


class PseudoMaskBaseline(UNetBaseline):
    """A baseline whose own part is labels for the training slices; the common U-Net does the rest.

    It learns the pseudo-masks of positive slices, and that slices without an organ are background.
    """

    @abstractmethod
    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Label the training slices: uint8 [N, s, s], rows as in ``context.train``, any side s.

        0 is background, 1..C the organs of ``context.train``, :data:`UNKNOWN` is left out of the
        loss. What tags rule out need not be cared for: :meth:`fit` clears it.
        """

    def fit(self, context: BaselineContext) -> None:
        """Make the pseudo-masks and train the common U-Net on them."""
        self.pseudo = clear_absent(self.pseudo_masks(context), context.train)
        self.learn(context, self.pseudo)


def clear_absent(labels: NDArray[np.uint8], slices: TaggedSlices) -> NDArray[np.uint8]:
    """Return labels without organs that the tags exclude: such pixels are background.

    A slice without any organ is background all over, also where its label was unknown.

    Args:
        labels: uint8 [N, s, s].
        slices: N slices of C organs.

    Raises:
        DataError: Type, shape or values of the labels are not as said.
    """
    require_labels(labels, slices)
    organs = slices.tags.shape[1]
    kept = np.zeros((len(slices), UNKNOWN + 1), bool)
    kept[:, 1 : organs + 1] = slices.tags > 0
    kept[:, UNKNOWN] = slices.tags.any(axis=1)
    cleared = [np.where(keep[label], label, 0) for keep, label in zip(kept, labels, strict=True)]
    return np.stack(cleared).astype(np.uint8) if cleared else labels


def require_labels(labels: NDArray[np.uint8], slices: TaggedSlices) -> None:
    """Refuse what are no labels of ``slices``: uint8 [N, s, s] of 0, 1..C and UNKNOWN.

    Raises:
        DataError: Type, shape or values of the labels are not as said.
    """
    expected = f"uint8 labels [{len(slices)}, s, s]"
    if labels.dtype != np.uint8 or labels.ndim != 3 or len(labels) != len(slices):
        raise DataError(f"expected {expected}, got {labels.dtype} {list(labels.shape)}")
    if labels.shape[1] != labels.shape[2]:
        raise DataError(f"expected {expected} over the square working grid, got {labels.shape}")
    organs = slices.tags.shape[1]
    known = labels[labels != UNKNOWN]
    if known.size and int(known.max()) > organs:
        raise DataError(
            f"expected labels 0 to {organs} and {UNKNOWN} for unknown, got {int(known.max())}"
        )


B = TypeVar("B", bound=type[Baseline])


def register_baseline(name: str) -> Callable[[B], B]:
    """Class decorator that makes a :class:`Baseline` known to the whole program as ``name``.

    Raises:
        ConfigError: The name is taken, or the class is no baseline.
    """
    return baselines.register(name)
