"""From what a user writes after ``--baselines`` to names of baselines."""

from __future__ import annotations

from camzoo.errors import ConfigError
from camzoo.segment import baselines


def select_baselines(text: str) -> tuple[str, ...]:
    """Return the baselines named in ``text``: names separated by commas, patterns, "all" or "none".

    Raises:
        ConfigError: A name or pattern fits nothing.
    """
    if text.strip() == "none":
        return ()
    chosen: dict[str, None] = {}
    for part in (piece.strip() for piece in text.split(",")):
        if part:
            chosen.update(dict.fromkeys(_named(part)))
    if not chosen:
        raise ConfigError("--baselines names no baseline; camzoo list baselines shows all")
    return tuple(chosen)


def _named(part: str) -> list[str]:
    pattern = "*" if part == "all" else part
    if not any(mark in pattern for mark in "*?["):
        baselines.get(part)
        return [part]
    found = baselines.names(pattern)
    if not found:
        raise ConfigError(f"no baseline fits {part!r}; camzoo list baselines shows all")
    return found
