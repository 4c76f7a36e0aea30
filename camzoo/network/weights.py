"""Weights from a file: read without ever unpickling code, and put into a trunk."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor, nn

from camzoo.config import BackboneConfig
from camzoo.core.errors import ConfigError
from camzoo.core.text import reason, shortly
from camzoo.network.pickled import require_plain_pickle


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
            with warnings.catch_warnings():  # of pickles that are odd; what matters is checked here
                warnings.simplefilter("ignore")
                require_plain_pickle(path)
                state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # bytes that are no pickle make its reader fail in any way
        raise ConfigError(
            f"{path} cannot be read as weights ({_why(error)}); give a .safetensors file, or "
            "a .pth file of tensors alone"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ConfigError(f"{path} holds no dictionary of tensors; save model.state_dict()")
    weights = {str(name): value for name, value in state.items()}
    _require_finite(weights, path)
    return weights


def _why(error: Exception) -> str:
    """What a reader said. Torch's advice to load any pickle would run whatever code is in it."""
    if isinstance(error, UnpicklingError):
        return "it is no pickle of tensors alone"
    return reason(error)


def _require_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights of which a network can make no number."""
    for name, value in weights.items():
        wrong = int((~value.isfinite()).sum())
        if wrong:
            raise ConfigError(
                f"{path}: {wrong} of {value.numel()} numbers of {shortly(name)} are NaN or "
                "infinite; give weights of a training that did not diverge"
            )


def load_trunk(model: nn.Module, state: Mapping[str, Tensor], config: BackboneConfig) -> None:
    """Fill a trunk from the weights of a file, whose head is left out.

    Raises:
        ConfigError: They belong to another network, or are no weights.
    """
    head = head_names(model)
    own = {name: value for name, value in model.state_dict().items() if name not in head}
    given = {n: v.float() for n, v in state.items() if n in own}
    for name, value in given.items():
        if value.ndim == 4 and value.shape[1] == 3 and own[name].shape[1] == 1:
            given[name] = adapt_input_conv(1, value)
    whole = [n for n, v in state.items() if _is_whole(v) and n in own and not _is_whole(own[n])]
    if whole:
        raise ConfigError(f"{config.weights} holds whole numbers for weights{_some(whole)}")
    wrong = [n for n, v in given.items() if v.shape != own[n].shape]
    missing = [n for n in own if n not in given and not n.endswith("num_batches_tracked")]
    if wrong or missing:
        raise ConfigError(
            f"{config.weights} does not fit backbone {config.name!r}: "
            f"{len(missing)} of {len(own)} tensors missing{_some(missing)}, "
            f"{len(wrong)} of another shape{_some(wrong)}; name the backbone it belongs to"
        )
    model.load_state_dict(given, strict=False)


def _is_whole(value: Tensor) -> bool:
    return not value.is_floating_point()


def _some(names: Sequence[str]) -> str:
    return f" ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})" if names else ""


def head_names(model: nn.Module) -> set[str]:
    """Names of the tensors of the classifier; none where it was cut off."""
    head = model.get_classifier()  # type: ignore[operator]
    parts = [head] if isinstance(head, nn.Module) else list(head)
    own = {id(parameter) for part in parts for parameter in part.parameters()}
    return {name for name, parameter in model.named_parameters() if id(parameter) in own}
