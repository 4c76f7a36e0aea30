"""Settings of plug-ins: arguments of a constructor, all with defaults."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from camzoo.core.errors import ConfigError


def defaults(kind: Callable[..., object]) -> dict[str, Any]:
    """Return the settings of a class with the values they have unless told."""
    parameters = inspect.signature(kind).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def require_like(who: str, key: str, value: object, default: object) -> None:
    """Refuse a value that is not of the type of the default.

    Raises:
        ConfigError: ``faithful=no``, say, which is text, and text is true.
    """
    if not _is_like(value, default):
        kind = "list" if isinstance(default, tuple) else type(default).__name__
        raise ConfigError(
            f"{who}: {key} is of type {kind}, got {value!r}; write values as JSON (true, 3, 0.5)"
        )


def written(settings: Mapping[str, Any]) -> list[str]:
    """Write settings as a user would, KEY=VALUE each; text with a colon in it stands in quotes."""
    return [
        f"{key}={value if isinstance(value, str) and ':' not in value else json.dumps(value)}"
        for key, value in settings.items()
    ]


def _is_like(value: object, default: object) -> bool:
    if default is None or default is inspect.Parameter.empty:
        return True
    if type(default) is float:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    if type(default) is tuple:
        return type(value) in (list, tuple)
    return type(value) is type(default)
