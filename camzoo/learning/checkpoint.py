"""Checkpoints: the state of a training after an epoch, in one safetensors file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from camzoo.core.files import replace_atomically
from camzoo.core.stored import read_tensors, reading

#: Name of the checkpoint of a folder that holds the training of one network.
CHECKPOINT: Final = "checkpoint.safetensors"
_MODEL: Final = "model."
_OPTIMISER: Final = "optimiser."
_HISTORY: Final = "history"


def save_checkpoint(
    path: Path,
    network: nn.Module,
    history: Sequence[Sequence[float]],
    optimiser: torch.optim.Optimizer | None = None,
) -> None:
    """Write a state whole or not at all.

    Args:
        path: Where to.
        network: Its weights and buffers are kept.
        history: One record of equally many numbers per epoch.
        optimiser: Its state per parameter is kept, not its settings: those are the caller's.
    """
    tensors = {f"{_MODEL}{name}": value for name, value in network.state_dict().items()}
    if optimiser is not None:
        for index, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                if isinstance(value, Tensor):  # SGD without momentum keeps None
                    tensors[f"{_OPTIMISER}{index}.{name}"] = value
    tensors[_HISTORY] = torch.tensor(history, dtype=torch.float64)
    with replace_atomically(path) as partial:
        save_tensors(partial, tensors)


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors of any device and layout to a safetensors file."""
    save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, path)


def load_checkpoint(
    path: Path, network: nn.Module, optimiser: torch.optim.Optimizer | None = None
) -> list[list[float]]:
    """Restore what :func:`save_checkpoint` kept.

    Returns:
        The records of the epochs that are over; none where there is no file, which changes nothing.

    Raises:
        DataError: The file is damaged, or of another network.
    """
    if not path.exists():
        return []
    with reading(path):
        tensors = read_tensors(path)
        history: list[list[float]] = tensors.pop(_HISTORY).tolist()
        network.load_state_dict(_below(tensors, _MODEL))
        if optimiser is not None:
            whole = optimiser.state_dict()
            whole["state"] = {}
            for name, value in _below(tensors, _OPTIMISER).items():
                index, _, quantity = name.partition(".")
                whole["state"].setdefault(int(index), {})[quantity] = value
            optimiser.load_state_dict(whole)
    return history


def read_history(path: Path) -> list[list[float]]:
    """Read the records of the epochs alone; none from a file of weights without any."""
    with reading(path), safe_open(path, "pt") as file:
        history = file.get_tensor(_HISTORY).tolist() if _HISTORY in file.keys() else []  # noqa: SIM118
    records: list[list[float]] = history
    return records


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
