"""From what a user writes after ``--methods`` to names of methods."""

from __future__ import annotations

from camzoo.cams.base import cams
from camzoo.errors import ConfigError


def select_methods(text: str) -> tuple[str, ...]:
    """Return the methods named in ``text``: names separated by commas, patterns, or "all".

    "all" leaves out the wrapped classes of other libraries (``gradcam:…``), which are second
    versions of methods that are there; a pattern brings them in.

    Raises:
        ConfigError: A name or pattern fits nothing.
    """
    chosen: dict[str, None] = {}
    for part in (piece.strip() for piece in text.split(",")):
        if part == "all" or any(mark in part for mark in "*?["):
            found = _native() if part == "all" else cams.names(part)
            if not found:
                raise ConfigError(f"no CAM method fits {part!r}; camzoo list cams shows all")
            chosen.update(dict.fromkeys(found))
        elif part:
            cams.get(part)
            chosen[part] = None
    if not chosen:
        raise ConfigError("--methods names no method; camzoo list cams shows all")
    return tuple(chosen)


def _native() -> list[str]:
    return [name for name in cams.names() if ":" not in name]
