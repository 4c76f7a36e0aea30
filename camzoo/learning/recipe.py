"""How a network learns, whatever it minimises: optimiser, learning rates, length."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from camzoo.config import SegmentationConfig, TrainingConfig
    from camzoo.network.backbone import Trainable

N = TypeVar("N", bound=nn.Module)


class Length(Protocol):
    """How long a training is, in settings and recipes."""

    @property
    def epochs(self) -> int:
        """Passes over the slices."""

    @property
    def steps(self) -> int:
        """Fewest steps."""

    @property
    def batch(self) -> int:
        """Slices per step."""


def passes(length: Length, slices: int) -> int:
    """Return how often ``slices`` are gone through: as asked for, or till the steps are enough.

    Networks learn by steps. A preset that counts passes alone starves on a small data set: five
    over 450 slices are 140 steps.
    """
    return max(length.epochs, math.ceil(length.steps / math.ceil(slices / length.batch)))


@dataclass(frozen=True)
class Poly:
    """The poly schedule: the rate at the start times (1 - t) ** power, behind a linear rise.

    Attributes:
        power: Exponent; 0 keeps the rate.
        warmup: Share of the training over which the rate rises from nothing.
    """

    power: float
    warmup: float = 0.0

    def __call__(self, start: float, t: float) -> float:
        """Return what the rate ``start`` has become when the share ``t`` of training is over."""
        rise = min(1.0, t / self.warmup) if self.warmup else 1.0
        return float(start * rise * (1 - t) ** self.power)


@dataclass(frozen=True)
class Recipe(Generic[N]):
    """All that the training loop has to know besides the objective.

    Attributes:
        epochs: Passes over the slices.
        steps: Fewest steps (:func:`passes`).
        batch: Slices per step.
        optimiser: Makes the optimiser of a network; its groups hold their rates at the start.
        schedule: From the rate of a group at the start, and the share of training that is over, to
            its rate.
        clip: Largest norm of the gradient; None leaves it as it is.
        rare: Least share of the rarer value of each tag, for which slices are drawn with
            replacement; 0 shows every slice once per epoch.
        centred: Whether the share that is over is counted in steps, in the middle of each, as IRNet
            does; else it is counted in slices, in front of each step.
        channels_last: Whether weights lie channels-last on the CPU as well; on CUDA they always do.
        remedy: What a user may change where the loss is not finite, in words.
    """

    epochs: int
    steps: int
    batch: int
    optimiser: Callable[[N], torch.optim.Optimizer]
    schedule: Callable[[float, float], float]
    clip: float | None = None
    rare: float = 0.0
    centred: bool = True
    channels_last: bool = True
    remedy: str = ""

    def layout(self, device: torch.device) -> torch.memory_format:
        """Return how weights and activations lie in memory."""
        last = self.channels_last or device.type == "cuda"
        return torch.channels_last if last else torch.contiguous_format


def sgd(config: TrainingConfig) -> Recipe[Trainable]:
    """SGD with the poly schedule; what is fresh in a network learns faster (IRNet, C-CAM)."""

    def optimiser(network: Trainable) -> torch.optim.Optimizer:
        fresh = network.fresh
        own = {id(p) for p in fresh}
        trunk = [p for p in network.parameters() if p.requires_grad and id(p) not in own]
        faster = {"params": fresh, "lr": config.lr * config.head_factor}
        groups: list[dict[str, Any]] = [{"params": trunk}, faster]
        return torch.optim.SGD(
            groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )

    return _of_training(config, optimiser, _remedy("training", config))


def adam(config: SegmentationConfig) -> Recipe[nn.Module]:
    """Adam at one rate for the whole network (the U-Net of C-CAM)."""
    return Recipe(
        config.epochs,
        config.steps,
        config.batch,
        lambda network: torch.optim.Adam(network.parameters(), lr=config.lr),
        Poly(config.power),
        config.clip,
        centred=False,
        channels_last=False,  # the gradient of group normalisation is slow in channels-last
        remedy=_remedy("segmentation", config),
    )


def adamw(config: TrainingConfig, *, lr: float, weight_decay: float) -> Recipe[nn.Module]:
    """AdamW at one rate for the whole network, as transformers learn (DeiT, ICML 2021).

    Args:
        config: Length, batch, schedule, clipping and draw of slices; neither rate nor decay.
        lr: Learning rate at the start.
        weight_decay: Decay of matrices and kernels. Biases, norms, tokens and positions have none.
    """

    def optimiser(network: nn.Module) -> torch.optim.Optimizer:
        learnt = [p for p in network.parameters() if p.requires_grad]
        matrices = [p for p in learnt if p.ndim in (2, 4)]  # tokens and positions are [1, n, D]
        others = [p for p in learnt if p.ndim not in (2, 4)]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "weight_decay": weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=lr)

    return _of_training(config, optimiser)


def _of_training(
    config: TrainingConfig, optimiser: Callable[[N], torch.optim.Optimizer], remedy: str = ""
) -> Recipe[N]:
    """Length, batch, schedule, clipping and draw of slices of the classifier, for any optimiser."""
    return Recipe(
        config.epochs,
        config.steps,
        config.batch,
        optimiser,
        Poly(config.power, config.warmup),
        config.clip,
        config.rare,
        remedy=remedy,
    )


def _remedy(section: str, config: TrainingConfig | SegmentationConfig) -> str:
    rates = f"lower {section}.lr" + (f" or {section}.head_factor" if section == "training" else "")
    clip = f"lower {section}.clip" if config.clip else f"set {section}.clip"
    wider = "" if config.precision == "fp32" else f", or set {section}.precision=fp32"
    return f"{rates}, {clip}{wider}"
