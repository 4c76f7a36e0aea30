"""The one training loop of classifiers, whatever they minimise."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.config import TrainingConfig
from camzoo.core.errors import CamzooError, DataError
from camzoo.core.precision import autocast
from camzoo.core.progress import Tick, silent
from camzoo.core.randomness import epoch_seed, seeded
from camzoo.data.slices import TaggedSlices
from camzoo.learning.augmentation import augment
from camzoo.learning.checkpoint import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from camzoo.network.backbone import Classifier, Trainable


@dataclass(frozen=True)
class Epoch:
    """What one pass over the slices gave.

    Attributes:
        loss: Mean over slices of what is minimised; for tags the binary cross-entropy.
        accuracy: Share of right tags per class, on the augmented slices as they were seen; zeros
            where the objective gives no logits.
    """

    loss: float
    accuracy: tuple[float, ...]


class Objective(Protocol):
    """What a training step minimises."""

    def __call__(
        self,
        images: Tensor,
        indices: NDArray[np.int64],
        tags: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the loss and the logits [b, C] of a batch, None where tags are not predicted.

        Args:
            images: Slices on [0, 1], [b, S, S], as they are stored; to be augmented here.
            indices: Which of the slices they are, [b].
            tags: [b, C].
            generator: The only source of randomness, on the CPU.
        """


class ViewLoss(ABC):
    """An objective on random views of the slices and on their tags alone.

    Attributes:
        config: Recipe.
        flip: Whether slices may be mirrored.
    """

    config: TrainingConfig
    flip: bool

    def __call__(
        self,
        images: Tensor,
        indices: NDArray[np.int64],  # noqa: ARG002 - of the protocol
        tags: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of a batch."""
        views = augment(images, self.config, flip=self.flip, generator=generator)
        return self.on_views(views, tags)

    @abstractmethod
    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits [b, C] of views [b, crop, crop] with tags [b, C]."""


@dataclass(frozen=True)
class TagLoss(ViewLoss):
    """Binary cross-entropy of a classifier on the tags of augmented slices (P-CAM).

    Attributes:
        classifier: What learns.
        config: Recipe.
        flip: Whether slices may be mirrored.
    """

    classifier: Classifier
    config: TrainingConfig
    flip: bool

    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of a batch."""
        with autocast(views.device, self.config.precision):
            logits = self.classifier(self.classifier.normalise(views))
        return F.binary_cross_entropy_with_logits(logits.float(), tags), logits


def fit(
    classifier: Classifier,
    slices: TaggedSlices,
    config: TrainingConfig,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    tick: Tick = silent,
) -> list[Epoch]:
    """Train ``classifier`` in place on tags (C-CAM §3.1, P-CAM; recipe of IRNet).

    Arguments and return value as of :func:`minimise`.

    Raises:
        DataError: No slices, or a class whose tag never changes.
        CamzooError: The loss is no longer finite.
    """
    require_both_tags(slices)
    loss = TagLoss(classifier, config, mirrored(config.flip, slices))
    return minimise(
        loss, classifier, slices, config, seed=seed, device=device, checkpoint=checkpoint, tick=tick
    )


def minimise(
    objective: Objective,
    network: Trainable,
    slices: TaggedSlices,
    config: TrainingConfig,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    tick: Tick = silent,
) -> list[Epoch]:
    """Train a network in place by SGD with the poly schedule.

    After every epoch the state is written to ``checkpoint``; a call that finds the file goes on
    from there and ends with the same weights as one that was never interrupted.

    Args:
        objective: What to minimise; it runs the network.
        network: On the CPU; moved to ``device``.
        slices: What to learn from.
        config: Recipe.
        seed: Of order, augmentation, and what the network draws (dropout).
        device: Where to compute.
        checkpoint: File to resume from and to write.
        tick: Told (steps done, steps in all).

    Returns:
        One record per epoch.

    Raises:
        CamzooError: The loss is no longer finite.
    """
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = _optimiser(network, config)
    records = load_checkpoint(checkpoint, network, optimiser)
    history = [Epoch(loss, tuple(accuracy)) for loss, *accuracy in records]
    steps = math.ceil(len(slices) / config.batch)
    for epoch in range(len(history), config.epochs):
        own_seed = epoch_seed(seed, epoch)
        generator = torch.Generator().manual_seed(own_seed)
        totals = _Totals(len(slices.organs), device)
        network.train()
        order = _order(slices, config, generator)
        with seeded(own_seed, device):
            for step, (indices, images, tags) in enumerate(
                _batches(slices, order, config.batch, device)
            ):
                done = epoch * steps + step
                _set_rates(optimiser, config, (done + 0.5) / (steps * config.epochs))
                loss, logits = objective(images, indices, tags, generator)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                if config.clip:
                    nn.utils.clip_grad_norm_(_parameters(optimiser), config.clip)
                optimiser.step()
                totals.add(loss.detach(), logits, tags)
                tick(done + 1, steps * config.epochs)
        history.append(totals.mean(epoch))
        records.append([history[-1].loss, *history[-1].accuracy])
        save_checkpoint(checkpoint, network, records, optimiser)
    return history


def mirrored(flip: str, slices: TaggedSlices) -> bool:
    """Whether slices may be mirrored: by default not where organs would change their side."""
    return flip == "always" or (flip == "auto" and not slices.sided)


def require_both_tags(slices: TaggedSlices) -> None:
    """Refuse training slices from which a class cannot be learnt.

    Raises:
        DataError: There are no slices, or an organ is in all of them or in none.
    """
    if not len(slices):
        raise DataError("there are no training slices")
    for organ, share in zip(slices.organs, slices.tags.mean(axis=0), strict=True):
        if share in (0.0, 1.0):
            raise DataError(
                f"{organ} is in {'every' if share else 'no'} one of the {len(slices)} training "
                "slices: a classifier cannot learn it from tags; add cases or slices "
                f"{'without' if share else 'with'} it, or choose another split seed"
            )


class _Totals:
    """Sums over an epoch, kept on the device so that no step waits for the host."""

    def __init__(self, classes: int, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device)
        self._right = torch.zeros(classes, device=device)
        self._count = 0

    def add(self, loss: Tensor, logits: Tensor | None, tags: Tensor) -> None:
        self._loss += loss * len(tags)
        if logits is not None:
            self._right += ((logits.detach() > 0) == (tags > 0)).sum(dim=0)
        self._count += len(tags)

    def mean(self, epoch: int) -> Epoch:
        loss = float(self._loss) / self._count
        if not math.isfinite(loss):
            raise CamzooError(
                f"training diverged in epoch {epoch + 1}: the loss is {loss}; smaller steps may "
                "help (of the classifier: lower training.lr or training.head_factor, or set "
                "training.clip)"
            )
        return Epoch(loss, tuple((self._right / self._count).tolist()))


def _order(slices: TaggedSlices, config: TrainingConfig, generator: torch.Generator) -> Tensor:
    """Which slices an epoch sees, in which order."""
    weights = _weights(slices.tag_tensor(slice(None)), config.rare)
    if weights is None:
        return torch.randperm(len(slices), generator=generator)
    return torch.multinomial(weights, len(slices), replacement=True, generator=generator)


def _weights(tags: Tensor, rare: float) -> Tensor | None:
    """Weight of each slice, from tags [N, C]; None where no tag is rarer than asked for.

    For one class the rarer value gets exactly the share ``rare``; several classes are averaged.
    """
    share = tags.mean(dim=0)
    wanted = share.clamp(rare, 1 - rare)
    if torch.equal(wanted, share):
        return None
    each = tags * wanted / share + (1 - tags) * (1 - wanted) / (1 - share)
    return each.mean(dim=1)


def _batches(
    slices: TaggedSlices, order: Tensor, size: int, device: torch.device
) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """Batches in the given order: indices [b], images on [0, 1] [b, S, S] and tags [b, C]."""
    for chosen in order.split(size):
        indices = chosen.sort().values.numpy()  # ascending: the memory map is read in order
        tags = slices.tag_tensor(indices).to(device, non_blocking=True)
        yield indices, slices.grey(indices, device), tags


def _optimiser(network: Trainable, config: TrainingConfig) -> torch.optim.SGD:
    fresh = network.fresh
    own = {id(p) for p in fresh}
    trunk = [p for p in network.parameters() if p.requires_grad and id(p) not in own]
    groups = [{"params": trunk, "factor": 1.0}, {"params": fresh, "factor": config.head_factor}]
    return torch.optim.SGD(
        groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )


def _set_rates(optimiser: torch.optim.SGD, config: TrainingConfig, done: float) -> None:
    """Set learning rates for the step in whose middle the share ``done`` of training is over."""
    rise = min(1.0, done / config.warmup) if config.warmup else 1.0
    for group in optimiser.param_groups:
        group["lr"] = config.lr * group["factor"] * rise * (1 - done) ** config.power


def _parameters(optimiser: torch.optim.SGD) -> list[nn.Parameter]:
    return [p for group in optimiser.param_groups for p in group["params"]]
