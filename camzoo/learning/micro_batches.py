"""Putting a batch through a network in parts, on devices that it is too large for.

Losses here look at a batch as a whole (the Dice of all its slices, the mean over its known pixels),
so no loss is divided: the network is. Each part goes through it alone and only its output is kept;
on the way back it goes through once more, and the gradients of all parts add up (gradient
checkpointing: Chen et al., "Training deep nets with sublinear memory cost", 2016). Views, loss and
step are those of the whole batch. Batch normalisation alone, where it learns, sees the parts: its
statistics are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


@contextmanager
def in_micro_batches(network: nn.Module, size: int) -> Iterator[None]:
    """Let ``network`` see at most ``size`` slices at once while the body runs.

    It is divided where it is called, and where it, or what is in it, is asked for features as
    timm's networks are. Tensors that it is given are divided along the first axis where that is as
    long as the first one's; what it returns has to be tensors of that axis.
    """
    entries = [(network, "forward")]
    entries += [
        (module, name)
        for module in network.modules()
        for name in ("forward_features",)
        if hasattr(module, name)
    ]
    with ExitStack() as stack:
        for module, name in entries:
            own = {name: module.__dict__[name]} if name in module.__dict__ else {}
            divided = _Divided(network, getattr(module, name), size)
            stack.callback(_restore, module, name, own)
            module.__dict__[name] = divided
        yield


def _restore(module: nn.Module, name: str, own: Mapping[str, Any]) -> None:
    del module.__dict__[name]
    module.__dict__.update(own)


@dataclass(frozen=True)
class _Divided:
    """A method of a network that is called once for each part of a batch."""

    network: nn.Module
    whole: Callable[..., Any]
    size: int

    def __call__(self, batch: Tensor, *others: Any) -> Any:
        count = len(batch)
        if count <= self.size:
            return self.whole(batch, *others)
        divided = [
            other.split(self.size) if isinstance(other, Tensor) and len(other) == count else None
            for other in others
        ]
        outputs = []
        for number, part in enumerate(batch.split(self.size)):
            beside = [
                other if parts is None else parts[number]
                for other, parts in zip(others, divided, strict=True)
            ]
            outputs.append(self._pass(part, *beside))
        return _joined(outputs)

    def _pass(self, *part: Any) -> Any:
        if not torch.is_grad_enabled():
            return self.whole(*part)
        return checkpoint(self.whole, *part, use_reentrant=False, context_fn=self._contexts)

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(self.network)


@contextmanager
def _statistics_kept(network: nn.Module) -> Iterator[None]:
    """Run a network once more without a trace in the statistics of its batch normalisation."""
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked


def learns_statistics(network: nn.Module) -> bool:
    """Whether a network in training mode has batch normalisation that learns."""
    return any(isinstance(m, _BatchNorm) and m.training for m in network.modules())


def _joined(outputs: list[Any]) -> Any:
    """What a network would have returned for the whole batch."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.cat(outputs)
    if isinstance(first, Mapping):
        return {name: _joined([output[name] for output in outputs]) for name in first}
    return type(first)(_joined(list(each)) for each in zip(*outputs, strict=True))
