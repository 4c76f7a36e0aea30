"""What a user writes on the command line: lists of names, and settings as KEY=VALUE."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from camzoo.errors import ConfigError


def parse_pairs(flag: str, texts: Iterable[str] | None) -> dict[str, Any]:
    """Split KEY=VALUE texts; a value that is JSON ("3", "[1, 2]", "true") becomes what it says.

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
        try:
            pairs[key] = json.loads(value)
        except json.JSONDecodeError:  # plain text
            pairs[key] = value
    return pairs


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
