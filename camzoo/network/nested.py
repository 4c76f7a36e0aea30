"""Tensors inside of what a module gives: alone, in tuples, lists, dictionaries, data classes."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Apply a function to every tensor in what a module gave."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):  # also such as can be asked for their items as attributes
        items = {key: map_tensors(function, item) for key, item in value.items()}
        return items if type(value) is dict else _refilled(value, items)
    if hasattr(value, "_fields"):  # a named tuple takes its items one by one
        return type(value)(*(map_tensors(function, item) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(map_tensors(function, item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return _with_fields(value, function)
    return value


def _refilled(value: Any, items: dict[Any, Any]) -> Any:
    made = copy(value)
    for key, item in items.items():
        made[key] = item
    return made


def _with_fields(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    made = copy(value)
    for field in fields(value):
        object.__setattr__(made, field.name, map_tensors(function, getattr(value, field.name)))
    return made


def tensors_in(value: Any) -> list[Tensor]:
    """Return every tensor in what a module gave, in order."""
    found: list[Tensor] = []
    map_tensors(lambda tensor: found.append(tensor) or tensor, value)  # type: ignore[func-returns-value]
    return found
