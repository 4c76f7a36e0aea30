"""The one training loop, whatever a network minimises."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NotRequired, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.core.errors import CamzooError, DataError
from camzoo.core.progress import Tick, silent
from camzoo.core.randomness import epoch_seed, seeded
from camzoo.data.notes import listed
from camzoo.data.slices import TaggedSlices
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.checkpoint import load_checkpoint, read_history, save_checkpoint
from camzoo.learning.micro_batches import in_micro_batches, learns_statistics
from camzoo.learning.objectives import Objective, TagLoss
from camzoo.learning.recipe import N, Recipe, passes, sgd

if TYPE_CHECKING:
    from camzoo.config import TrainingConfig
    from camzoo.network.backbone import Classifier


@dataclass(frozen=True)
class Epoch:
    """What one pass over the slices gave.

    Attributes:
        loss: Mean over slices of what is minimised; for tags the binary cross-entropy.
        accuracy: Share of right tags per class, on the augmented slices as they were seen; empty
            where the objective gives no logits.
        micro_batch: How many slices went through the network at once, where memory was too small
            for the batch; None where the batch did. Gradients are those of the batch either way,
            but batch normalisation that learns saw so many slices.
    """

    loss: float
    accuracy: tuple[float, ...]
    micro_batch: int | None = None

    @property
    def record(self) -> list[float]:
        """What checkpoints keep."""
        return [self.loss, float(self.micro_batch or 0), *self.accuracy]

    @classmethod
    def of(cls, record: list[float]) -> Epoch:
        """Read what checkpoints keep."""
        loss, micro_batch, *accuracy = record
        return cls(loss, tuple(accuracy), int(micro_batch) or None)


def small_memory(folder: Path) -> dict[str, dict[str, int]]:
    """Say for a record for which of the trainings in a folder memory was too small.

    Returns:
        Under ``micro_batches``, how many slices went through a network at once at the end, by name
        of its checkpoint; nothing where memory was large enough.
    """
    histories = {path.stem: read_history(path) for path in sorted(folder.glob("*.safetensors"))}
    last = {
        name: Epoch.of(records[-1]).micro_batch for name, records in histories.items() if records
    }
    found = {name: size for name, size in last.items() if size}
    return {"micro_batches": found} if found else {}


@dataclass(frozen=True)
class Training:
    """What a training gave besides the network.

    Attributes:
        epochs: One record per epoch.
        images_per_second: Training speed; None where an earlier call had done all epochs.
    """

    epochs: list[Epoch]
    images_per_second: float | None


class Session(TypedDict):
    """Where a network is trained, in the keyword arguments of all that train one.

    Attributes:
        seed: Fixes the order, the views, and what the network draws (dropout).
        device: Where to compute.
        checkpoint: File to resume from, and to write after every epoch. Behind the last one it
            holds the weights and the history alone.
        tick: Told (steps done, steps in all).
        note: Told in one line what went otherwise than was asked for.
    """

    seed: int
    device: torch.device
    checkpoint: Path
    tick: NotRequired[Tick]
    note: NotRequired[Callable[[str], None]]


def fit(
    classifier: Classifier,
    slices: TaggedSlices,
    config: TrainingConfig,
    **session: Unpack[Session],
) -> list[Epoch]:
    """Train ``classifier`` in place on tags (C-CAM §3.1, P-CAM; recipe of IRNet).

    Returns:
        One record per epoch.

    Raises:
        DataError: No slices, or a class whose tag never changes.
        CamzooError: The loss is no longer finite.
    """
    require_both_tags(slices)
    ranges = Augmentation.of(config, sided=slices.sided)
    loss = TagLoss(classifier, ranges, config.precision)
    return minimise(loss, classifier, slices, sgd(config), **session).epochs


def minimise(
    objective: Objective,
    network: N,
    slices: TaggedSlices,
    recipe: Recipe[N],
    **session: Unpack[Session],
) -> Training:
    """Train a network in place.

    After every epoch the state is written to the checkpoint; a call that finds the file goes on
    from there and ends with the same weights as one that was never interrupted. An epoch for which
    the memory of the device is too small begins anew, with half as many slices at once.

    Args:
        objective: What to minimise; it runs the network.
        network: Network on the CPU; moved to the device.
        slices: What to learn from.
        recipe: How to.
        **session: Seed, device, checkpoint, tick and note (:class:`Session`).

    Raises:
        CamzooError: The loss is no longer finite.
        torch.OutOfMemoryError: The memory is too small for a single slice.
    """
    device, checkpoint = session["device"], session["checkpoint"]
    network.to(device=device, memory_format=recipe.layout(device))  # type: ignore[call-overload]
    optimiser = recipe.optimiser(network)
    epochs = [Epoch.of(record) for record in load_checkpoint(checkpoint, network, optimiser)]
    if not epochs:
        save_checkpoint(checkpoint, network, [], optimiser)  # what the first epoch may begin anew
    loop = _Loop(
        objective, network, slices, recipe, optimiser,
        seed=session["seed"], device=device, tick=session.get("tick", silent),
        micro_batch=epochs[-1].micro_batch if epochs else None,
    )  # fmt: skip
    began, known = time.perf_counter(), len(epochs)
    while len(epochs) < loop.epochs:
        epoch = loop.try_epoch(len(epochs))
        if epoch is None:
            load_checkpoint(checkpoint, network, optimiser)
            session.get("note", _unheard)(loop.told_smaller(len(epochs)))
            continue
        epochs.append(epoch)
        to_come = len(epochs) < loop.epochs
        records = [each.record for each in epochs]
        save_checkpoint(checkpoint, network, records, optimiser if to_come else None)
    shown = (loop.epochs - known) * len(slices)
    rate = shown / (time.perf_counter() - began) if shown > 0 else None
    return Training(epochs, rate)


def _unheard(_text: str) -> None:
    """Say nothing."""


@dataclass
class _Loop(Generic[N]):
    """A training under way. The rates that the optimiser comes with are those at the start."""

    objective: Objective
    network: N
    slices: TaggedSlices
    recipe: Recipe[N]
    optimiser: torch.optim.Optimizer
    seed: int
    device: torch.device
    tick: Tick
    micro_batch: int | None = None
    epochs: int = field(init=False)
    _rates: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.epochs = passes(self.recipe, len(self.slices))
        self._rates = [group["lr"] for group in self.optimiser.param_groups]

    def try_epoch(self, number: int) -> Epoch | None:
        """Go through all slices once; None, and half as many at once, where memory is too small.

        Network and optimiser are then what they had become by that time.
        """
        try:
            with self._divided():
                return self.epoch(number)
        except torch.OutOfMemoryError:
            self.micro_batch = (self.micro_batch or min(self.recipe.batch, len(self.slices))) // 2
            if not self.micro_batch:
                raise
        # Only now is nothing left that refers to what the epoch had in memory.
        self.optimiser.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _divided(self) -> AbstractContextManager[None]:
        size = self.micro_batch
        return in_micro_batches(self.network, size) if size else nullcontext()

    def told_smaller(self, number: int) -> str:
        """Say what goes on otherwise, now that memory was too small in an epoch."""
        norms = learns_statistics(self.network)
        return (
            f"memory is too small for the batch: from epoch {number + 1} on {self.micro_batch} "
            "slices go through the network at once and their gradients are added up, which changes "
            + ("nothing but the statistics of batch normalisation" if norms else "no gradient")
        )

    def epoch(self, number: int) -> Epoch:
        """Go through all slices once."""
        recipe, count = self.recipe, len(self.slices)
        own_seed = epoch_seed(self.seed, number)
        generator = torch.Generator().manual_seed(own_seed)
        order = draw_order(self.slices, recipe.rare, generator)
        steps = math.ceil(count / recipe.batch)
        totals = _Totals(self.device)
        self.network.train()
        with seeded(own_seed, self.device):
            for step, (indices, images, tags) in enumerate(
                batches(self.slices, order, recipe.batch, self.device)
            ):
                done = number * steps + step
                over = (number * count + step * recipe.batch) / (self.epochs * count)
                self._set_rates((done + 0.5) / (self.epochs * steps) if recipe.centred else over)
                loss, logits = self.objective(images, indices, tags, generator)
                self._step(loss)
                totals.add(indices, loss.detach(), logits, tags)
                self.tick(done + 1, self.epochs * steps)
        self._require_finite(totals, number, steps)
        return replace(totals.mean(), micro_batch=self.micro_batch)

    def _set_rates(self, over: float) -> None:
        for group, start in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = self.recipe.schedule(start, over)

    def _step(self, loss: Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.recipe.clip:
            parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip)
        self.optimiser.step()

    def _require_finite(self, totals: _Totals, number: int, steps: int) -> None:
        if (found := totals.diverged()) is None:
            return
        step, loss, indices = found
        cases = [
            case
            for case, start, stop in self.slices.cases
            if ((start <= indices) & (indices < stop)).any()
        ]
        remedy = self.recipe.remedy or "lower its rate"
        raise CamzooError(
            f"training diverged in epoch {number + 1}, step {step + 1} of {steps}: the loss of a "
            f"batch with slices of {listed(cases)} is {loss}; {remedy}"
        )


class _Totals:
    """Sums over an epoch, kept on the device: no step waits for a number."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device)
        self._right: Tensor | None = None
        self._count = 0
        self._each: list[tuple[NDArray[np.int64], Tensor]] = []

    def add(
        self, indices: NDArray[np.int64], loss: Tensor, logits: Tensor | None, tags: Tensor
    ) -> None:
        self._loss += loss * len(tags)
        self._count += len(tags)
        self._each.append((indices, loss))
        if logits is not None:
            right = ((logits.detach() > 0) == (tags > 0)).sum(dim=0).float()
            self._right = right if self._right is None else self._right + right

    def mean(self) -> Epoch:
        accuracy = () if self._right is None else tuple((self._right / self._count).tolist())
        return Epoch(float(self._loss) / self._count, accuracy)

    def diverged(self) -> tuple[int, float, NDArray[np.int64]] | None:
        """Return the first loss that is not finite, as step, loss, slices; None if all are.

        Where only the sum is not, that of the last batch.
        """
        if math.isfinite(self._loss):
            return None
        values = [(n, float(loss), indices) for n, (indices, loss) in enumerate(self._each)]
        return next((each for each in values if not math.isfinite(each[1])), values[-1])


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


def draw_order(slices: TaggedSlices, rare: float, generator: torch.Generator) -> Tensor:
    """Draw which slices an epoch shows, in which order, [N] (:attr:`Recipe.rare`)."""
    weights = _weights(slices.tag_tensor(slice(None)), rare)
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


def batches(
    slices: TaggedSlices, order: Tensor, size: int, device: torch.device
) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """Batches in the given order: indices [b], images on [0, 1] [b, S, S] and tags [b, C]."""
    for chosen in order.split(size):
        indices = chosen.sort().values.numpy()  # ascending: the memory map is read in order
        tags = slices.tag_tensor(indices).to(device, non_blocking=True)
        yield indices, slices.grey(indices, device), tags
