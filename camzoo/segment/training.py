"""The one training loop of segmentation networks."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.cams.pipeline import resize
from camzoo.config import SegmentationConfig, TrainingConfig
from camzoo.core.errors import CamzooError
from camzoo.core.precision import autocast
from camzoo.core.progress import Tick, silent
from camzoo.core.randomness import epoch_seed, seeded
from camzoo.data.slices import TaggedSlices, as_grey
from camzoo.learning.augmentation import augment_planes
from camzoo.learning.checkpoint import load_checkpoint, save_checkpoint
from camzoo.learning.loop import mirrored
from camzoo.segment.learning_context import BaselineContext
from camzoo.segment.losses import Loss, cross_entropy_and_dice
from camzoo.segment.unet import build_unet


@dataclass(frozen=True)
class SegmentationNet:
    """A trained network.

    Attributes:
        network: From slices [B, 1, s, s] to logits [B, C + 1, s, s].
        config: What it was trained by.
        device: Where it computes.
        losses: Mean loss of every epoch.
        images_per_second: Of training; None where an earlier call had trained it.
    """

    network: nn.Module
    config: SegmentationConfig
    device: torch.device
    losses: tuple[float, ...]
    images_per_second: float | None

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Return class probabilities float32 [n, C + 1, side, side] of uint8 slices [n, S, S]."""
        grey = network_input(images, self.config.side, self.device)
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
        context: Of the baseline.
        labels: uint8 [N, s, s], rows as in ``context.train``: 0..C or UNKNOWN (255).
        loss: Of logits, labels and tags.
        name: Tells several networks of one baseline apart.

    Raises:
        CamzooError: The loss is no longer finite.
    """
    config = context.config.segmentation
    network = build_unet(len(context.train.organs) + 1, config.widths, seed=context.seed)
    with context.reporter.stage(f"training {name}, seed {context.seed}") as tick:
        return fit(
            network,
            context.train,
            labels,
            config,
            seed=context.seed,
            device=context.device,
            path=context.folder / f"{name}.safetensors",
            loss=loss,
            tick=tick,
        )


def fit(
    network: nn.Module,
    slices: TaggedSlices,
    labels: NDArray[np.uint8],
    config: SegmentationConfig,
    *,
    seed: int,
    device: torch.device,
    path: Path,
    loss: Loss = cross_entropy_and_dice,
    tick: Tick = silent,
) -> SegmentationNet:
    """Train ``network`` in place on labels of slices.

    Args:
        network: From [B, 1, s, s] to logits [B, C + 1, s, s].
        slices: N slices with their tags.
        labels: uint8 [N, s, s] of any side over the same field of view: 0..C or UNKNOWN (255).
        config: Recipe.
        seed: Of order, augmentation, and what the network draws (dropout).
        device: Where to compute.
        path: Where the final weights go; a checkpoint stands beside it meanwhile.
        loss: Of logits, labels and tags.
        tick: Told (steps done, steps in all).

    Raises:
        CamzooError: The loss is no longer finite.
    """
    # On the CPU the gradient of group normalisation is slow in channels-last.
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    network.to(device=device, memory_format=layout)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters(), lr=config.lr)
    checkpoint = path.with_suffix(".checkpoint")
    history = load_checkpoint(path, network) or load_checkpoint(checkpoint, network, optimiser)
    began, known = time.perf_counter(), len(history)
    for epoch in range(known, config.epochs):
        network.train()
        total = torch.zeros((), device=device)
        own_seed = epoch_seed(seed, epoch)
        with seeded(own_seed, device):
            for step, (views, target, tags) in enumerate(
                training_batches(slices, labels, config, own_seed, device)
            ):
                done = epoch * len(slices) + step * config.batch
                _set_rate(optimiser, config, done / (config.epochs * len(slices)))
                with autocast(device, config.precision):
                    logits = network(views)
                value = loss(logits.float(), target, tags)
                optimiser.zero_grad(set_to_none=True)
                value.backward()
                if config.clip:
                    nn.utils.clip_grad_norm_(network.parameters(), config.clip)
                optimiser.step()
                total += value.detach() * len(tags)
                tick(done + len(tags), config.epochs * len(slices))
        history.append([_mean(total, len(slices), epoch)])
        save_checkpoint(checkpoint, network, history, optimiser)
    save_checkpoint(path, network, history)
    checkpoint.unlink(missing_ok=True)
    seen = (config.epochs - known) * len(slices)
    rate = seen / (time.perf_counter() - began) if seen else None
    losses = tuple(loss for (loss,) in history)
    return SegmentationNet(network, config, device, losses, rate)


def training_batches(
    slices: TaggedSlices,
    labels: NDArray[np.uint8],
    config: SegmentationConfig,
    seed: int,
    device: torch.device,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Walk once through all slices in random order and views.

    Yields:
        Views on [0, 1], float32 [b, 1, side, side]; their labels, int64 [b, side, side]; tags
        [b, C]; all on ``device``.
    """
    generator = torch.Generator().manual_seed(seed)
    whole = (config.side, config.side)
    recipe = TrainingConfig(
        crop=config.side, resize=whole, rotate=config.rotate, jitter=config.jitter
    )
    flip = mirrored(config.flip, slices)
    for chosen in torch.randperm(len(slices), generator=generator).split(config.batch):
        indices = chosen.sort().values.numpy()  # ascending: the memory map is read in order
        grey = network_input(slices.images(indices), config.side, device)
        planes = torch.from_numpy(labels[indices]).to(device, non_blocking=True)[:, None]
        views, target = augment_planes(
            grey, planes, recipe, flip=flip, generator=generator, side=config.side, mode="nearest"
        )
        tags = slices.tag_tensor(indices).to(device, non_blocking=True)
        yield views[:, None], target[:, 0].long(), tags


def network_input(images: Tensor, side: int, device: torch.device) -> Tensor:
    """Return uint8 slices [n, S, S] on [0, 1], float32 [n, side, side] on ``device``."""
    return resize(as_grey(images, device), side)


def _set_rate(optimiser: torch.optim.Adam, config: SegmentationConfig, done: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = config.lr * (1 - done) ** config.power


def _mean(total: Tensor, count: int, epoch: int) -> float:
    loss = float(total) / count
    if not math.isfinite(loss):
        raise CamzooError(
            f"training of the U-Net diverged in epoch {epoch + 1}: the loss is {loss}; smaller "
            "steps may help (lower segmentation.lr or segmentation.clip)"
        )
    return loss
