"""Reading weights from a file, without ever unpickling code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from camzoo.core.errors import ConfigError


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dictionary from ``.safetensors``, or from a ``.pth`` that holds tensors only.

    Raises:
        ConfigError: There is no such file, it cannot be read as weights, or a weight is not finite.
    """
    if not path.is_file():
        raise ConfigError(f"no weights at {path}: give the path of a .safetensors or .pth file")
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # bytes that are no pickle make its reader fail in any way
        reason = next(iter(str(error).splitlines()), "")[:200]
        raise ConfigError(
            f"{path} cannot be read as weights ({type(error).__name__}: {reason}); give a "
            ".safetensors file, or a .pth file of tensors alone"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ConfigError(f"{path} holds no dictionary of tensors; save model.state_dict()")
    weights = {str(name): value for name, value in state.items()}
    _require_finite(weights, path)
    return weights


def _require_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights of which a network can make no number."""
    for name, value in weights.items():
        wrong = int((~value.isfinite()).sum())
        if wrong:
            raise ConfigError(
                f"{path}: {wrong} of {value.numel()} numbers of {name!r} are NaN or infinite; "
                "give weights of a training that did not diverge"
            )
