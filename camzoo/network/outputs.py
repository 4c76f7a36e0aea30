"""What a network gives, as logits [B, C]: of tuples, dictionaries and single logits, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from camzoo.core.errors import ConfigError

#: Key under which networks that give several things (Hugging Face, torchvision) have their logits.
_LOGITS = "logits"


def logits_of(given: Any, batch: int, model: nn.Module) -> Tensor:
    """Find the logits [B, C] in what a network gave for ``batch`` images.

    One logit per image, [B], is a column; [B, C, 1, 1] loses its places. Of several things it is
    the one called ``logits``, or the only one of that shape.

    Raises:
        ConfigError: There is none, or which of several it is cannot be told.
    """
    found = _as_logits(_named(given), batch)
    if found is None and not isinstance(given, Tensor):
        candidates = [_as_logits(item, batch) for item in _items(given)]
        tables = [item for item in candidates if item is not None]
        found = tables[0] if len(tables) == 1 else None
    if found is None:
        raise ConfigError(
            f"expected logits [B, C] of {type(model).__name__} for {batch} "
            f"image{'s' if batch > 1 else ''}, got {_described(given)}; wrap the model in one that "
            "returns them"
        )
    return found


def _as_logits(item: Any, batch: int) -> Tensor | None:
    if not isinstance(item, Tensor) or not item.is_floating_point() or not item.ndim:
        return None
    if len(item) != batch or 0 in item.shape[1:]:
        return None
    if item.ndim == 1:
        return item[:, None]
    if item.ndim == 2 or (item.ndim == 4 and item.shape[2:] == (1, 1)):
        return item.flatten(1)
    return None


def _named(given: Any) -> Any:
    if isinstance(given, Mapping):
        return given.get(_LOGITS)
    return given if isinstance(given, Tensor) else getattr(given, _LOGITS, None)


def _items(given: Any) -> list[Any]:
    if isinstance(given, Mapping):
        return list(given.values())
    if isinstance(given, list | tuple):
        return list(given)
    if is_dataclass(given):
        return [getattr(given, field.name) for field in fields(given)]
    return []


def _described(given: Any) -> str:
    if isinstance(given, Tensor):
        return f"{list(given.shape)} of {str(given.dtype).removeprefix('torch.')}"
    if isinstance(given, Mapping):
        inside = ", ".join(f"{key}: {_described(value)}" for key, value in given.items())
    else:
        inside = ", ".join(_described(item) for item in _items(given))
    name = type(given).__name__
    return f"{name} ({inside})"[:200] if inside else name
