"""Seeds: what is random is the same in every run, also in one that was interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def epoch_seed(seed: int, epoch: int) -> int:
    """Seed of what is random in an epoch: one that is resumed sees what it would have seen."""
    return (seed * 1_000_003 + epoch) % 2**63


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed what draws without a generator (dropout, new layers) and leave no trace of it.

    Args:
        seed: Seed of the CPU and of all CUDA devices.
        device: Where it draws, if not on the CPU alone.
    """
    with torch.random.fork_rng(devices=[device] if device and device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
