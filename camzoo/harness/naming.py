"""How a method is called where paths of one machine mean nothing: in names of runs, in manifests.

A step may name a file or folder in its settings (:attr:`camzoo.steps.base.MapStep.places`).
"""

from __future__ import annotations

from collections.abc import Callable

from camzoo.harness.faults import PLUGIN_FAULTS
from camzoo.steps.chain import Chain, parse_chain


def public_name(text: str) -> str:
    """Return a method as manifests have it: of files and folders only their names."""
    return _renamed(text, lambda chain: chain.public)


def content_name(text: str) -> str:
    """Return a method as names of runs depend on it: of files and folders only their content."""
    return _renamed(text, lambda chain: chain.identity)


def _renamed(text: str, other: Callable[[Chain], Chain]) -> str:
    """Return the text of another form of a chain; its own where that is the same."""
    try:
        chain = parse_chain(text)
        found = other(chain)
    except PLUGIN_FAULTS:  # what cannot be made fails its own row, which says why
        return text
    return text if found is chain else str(found)
