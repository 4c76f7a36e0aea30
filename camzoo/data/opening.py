"""Making a data set from its name and the options a user gave as text."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camzoo.core.errors import ConfigError
from camzoo.core.suggest import unknown
from camzoo.data.registry import datasets

if TYPE_CHECKING:
    from camzoo.data.datasets.base import Dataset


def open_dataset(name: str, root: Path | None, options: Mapping[str, Any]) -> Dataset:
    """Construct the data set called ``name``.

    Args:
        name: Registry name.
        root: Its folder, or None for a data set that needs no files.
        options: Keyword arguments of its constructor; text is turned into the annotated type.

    Raises:
        ConfigError: No such data set or option, or a value of the wrong type.
    """
    require_dataset(name, options)
    kind = datasets.get(name)
    known = inspect.signature(kind, eval_str=True).parameters
    chosen = {
        key: _coerce(name, key, value, known[key].annotation) for key, value in options.items()
    }
    return kind(root, **chosen)  # type: ignore[call-arg]


def require_dataset(name: str, options: Iterable[str]) -> None:
    """Refuse a data set or options of it that are not there; nothing is imported or read.

    Raises:
        UnknownNameError: No such data set, or it has no such option.
        ConfigError: The data set cannot be had.
    """
    known = dataset_options(name)
    for key in options:
        if key not in known:
            raise unknown("option", key, known, of=f"data set {name!r}")


def dataset_options(name: str) -> dict[str, Any]:
    """Return the options of the data set called ``name`` with their defaults.

    They are the parameters of its constructor besides the folder.

    Raises:
        UnknownNameError: No such data set.
        ConfigError: It cannot be had.
    """
    description = datasets.describe(name)
    if description.fault:
        raise ConfigError(description.fault)
    return {key: value for key, value in description.settings.items() if key != "root"}


def _coerce(name: str, key: str, value: Any, annotation: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    if annotation is inspect.Parameter.empty:
        return value
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        raise ConfigError(
            f"option {key}={value!r} of data set {name!r}: {error.errors()[0]['msg']}"
        ) from error
