"""Settings in a file: a manifest of an earlier run, or TOML or YAML with the keys of ``--set``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from camzoo.core.errors import ConfigError
from camzoo.core.text import LONGEST, plain, shortly

#: Settings that are tables of a user's own keys; they are taken whole.
_TABLES: Final = frozenset({"backbone.arguments"})
#: Tables in tables; settings lie in two.
_DEEPEST: Final = 16


@dataclass(frozen=True)
class SettingsFile:
    """What a file of settings says.

    Attributes:
        dataset: Data set to start from; None where it does not say.
        preset: Preset to start from; None where it does not say.
        changes: Dotted settings, ``training.epochs``, to change then.
    """

    dataset: str | None
    preset: str | None
    changes: Mapping[str, Any]


def is_manifest(path: Path) -> bool:
    """Whether a file is taken as the manifest of a run."""
    return path.suffix.lower() not in (".toml", ".yaml", ".yml")


def read_settings(path: Path) -> SettingsFile:
    """Read a TOML or YAML file.

    Top-level keys are ``dataset`` and ``preset``, which say what to start from, and settings:
    nested tables (``[training]``, then ``epochs = 3``), or dotted keys.

    Raises:
        ConfigError: The file cannot be read, or is no table of settings.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        tree = tomllib.loads(text) if path.suffix.lower() == ".toml" else _read_yaml(text)
    except Exception as error:  # YAML's reader fails at a value of the wrong kind in any way
        why = plain(error, LONGEST) or type(error).__name__
        raise ConfigError(f"{path} cannot be read as settings: {why}") from error
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        kind = "nothing" if tree is None else f"a {type(tree).__name__}"
        raise ConfigError(
            f"{path} must hold a table of settings, as preset: quick or training: {{epochs: 3}}; "
            f"got {kind}"
        )
    start = {name: _name(path, name, tree.pop(name, None)) for name in ("dataset", "preset")}
    try:
        return SettingsFile(start["dataset"], start["preset"], dict(dotted_settings(tree)))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _read_yaml(text: str) -> Any:
    """Read YAML without what makes a few lines take all memory, or minutes: aliases, deep nesting.

    Raises:
        ValueError: There is such a thing in it.
    """
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1
        alias = isinstance(event, yaml.AliasEvent)
        if alias:
            raise ValueError(f"*{event.anchor} in line {line} is an alias; write its value there")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError(f"line {line} is nested more than {_DEEPEST} deep")
    return yaml.safe_load(text)


def _name(path: Path, key: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ConfigError(f"{path}: {key} must be a name, got {shortly(value)}")


def dotted_settings(tree: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Name what is in nested tables as ``--set`` does: ``training.epochs``.

    Raises:
        ConfigError: A name is no text, as YAML allows, or tables are nested too deep.
    """
    if above.count(".") > _DEEPEST:
        raise ConfigError(f"tables are nested more than {_DEEPEST} deep: {plain(above, 60)}")
    for key, value in tree.items():
        if not isinstance(key, str):
            raise ConfigError(f"names of settings are text, got {key!r}")
        name = f"{above}{key}"
        if isinstance(value, dict) and name not in _TABLES:
            yield from dotted_settings(value, f"{name}.")
        else:
            yield name, value
