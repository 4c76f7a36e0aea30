"""Nested settings as one level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flatten(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return the leaves of nested settings by their dotted names; an empty group is a leaf."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves |= flatten(value, f"{above}{name}.")
        else:
            leaves[above + name] = value
    return leaves
