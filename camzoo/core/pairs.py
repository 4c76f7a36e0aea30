"""What a user writes on the command line: lists of names, and settings as KEY=VALUE."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from camzoo.core.errors import ConfigError


def parse_pairs(
    flag: str, texts: Iterable[str] | None, *, lists: Callable[[str], bool] | None = None
) -> dict[str, Any]:
    """Split KEY=VALUE texts; a value that is JSON ("3", "[1, 2]", "true") becomes what it says.

    Args:
        flag: What the texts stand behind, for messages.
        texts: To split.
        lists: Says of a key whether commas in its value make a list, as in ``seeds=0,1``; by
            default none does. Parts of a list are read as values are.

    Raises:
        ConfigError: A text has no "=", or a key stands twice.
    """
    pairs: dict[str, Any] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"{flag} takes KEY=VALUE, got {text!r}")
        if key in pairs:
            raise ConfigError(f"{flag} {key} is given twice")
        pairs[key] = _value(value, as_list=lists is not None and lists(key))
    return pairs


def _value(text: str, *, as_list: bool) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):  # plain text
        parts = split_names(text)
        if as_list and (len(parts) > 1 or text.endswith(",")):
            return [_value(part, as_list=False) for part in parts]
        return text


def split_names(text: str) -> list[str]:
    """Split at commas that stand in no brackets, braces or quotes; empty parts are left out."""
    parts, depth, quoted = [""], 0, False
    for mark in text:
        quoted ^= mark == '"'
        if not quoted:
            depth += (mark in "[{") - (mark in "]}")
        if mark == "," and not quoted and depth <= 0:
            parts.append("")
        else:
            parts[-1] += mark
    return [part.strip() for part in parts if part.strip()]


def require_once(what: str, written: Iterable[tuple[str, str]]) -> None:
    """Refuse a thing that is named twice: tables would hold every number of it twice.

    Args:
        what: The setting, as the message calls it.
        written: What a user wrote, and the name of what that stands for.

    Raises:
        ConfigError: With both texts, where they differ.
    """
    first: dict[str, str] = {}
    for text, name in written:
        if name not in first:
            first[name] = text
        elif first[name] == text:
            raise ConfigError(f"{what}: takes each value once, and {text!r} is given twice")
        else:
            raise ConfigError(
                f"{what}: {first[name]} and {text} are one and the same; give one of the names"
            )
