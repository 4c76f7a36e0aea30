"""Making a data set from its name and the options a user gave as text."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from camzoo.data.datasets import Dataset, datasets
from camzoo.errors import ConfigError


def open_dataset(name: str, root: Path | None, options: Mapping[str, Any]) -> Dataset:
    """Construct the data set called ``name``.

    Args:
        name: Registry name.
        root: Its folder, or None for a data set that needs no files.
        options: Keyword arguments of its constructor; text is turned into the annotated type.

    Raises:
        ConfigError: No such data set or option, or a value of the wrong type.
    """
    kind = datasets.get(name)
    known = {key: p.annotation for key, p in dataset_options(name).items()}
    chosen = {key: _coerce(name, key, value, known) for key, value in options.items()}
    return kind(root, **chosen)  # type: ignore[call-arg]


def dataset_options(name: str) -> dict[str, inspect.Parameter]:
    """Return the options of the data set called ``name``, which are its constructor's parameters.

    Raises:
        UnknownNameError: No such data set.
    """
    parameters = inspect.signature(datasets.get(name), eval_str=True).parameters
    return {key: parameter for key, parameter in parameters.items() if key != "root"}


def _coerce(name: str, key: str, value: Any, known: Mapping[str, Any]) -> Any:
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(
            f"data set {name!r} has no option {key!r}{hint} "
            f"(it has: {', '.join(sorted(known)) or 'none'})"
        )
    if known[key] is inspect.Parameter.empty:
        return value
    try:
        return TypeAdapter(known[key]).validate_python(value)
    except ValidationError as error:
        raise ConfigError(
            f"option {key}={value!r} of data set {name!r}: {error.errors()[0]['msg']}"
        ) from error
