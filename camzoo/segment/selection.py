"""From what a user writes after ``--baselines`` to names of baselines."""

from __future__ import annotations

from camzoo.errors import ConfigError
from camzoo.pairs import require_once, split_names
from camzoo.segment import baselines
from camzoo.segment.written import parse_baseline


def select_baselines(text: str) -> tuple[str, ...]:
    """Return the baselines named in ``text``: names separated by commas, patterns, "all" or "none".

    A name may have settings (:mod:`camzoo.segment.written`).

    Raises:
        ConfigError: A name or pattern fits nothing.
    """
    if text.strip() == "none":
        return ()
    chosen: dict[str, None] = {}
    alone: list[tuple[str, str]] = []
    for part in split_names(text):
        found = _named(part)
        if not _is_several(part):
            alone.append((part, found[0]))
        chosen.update(dict.fromkeys(found))
    require_once("baselines", alone)
    if not chosen:
        raise ConfigError("--baselines names no baseline; camzoo list baselines shows all")
    return tuple(chosen)


def _is_several(part: str) -> bool:
    """Whether it may stand for several baselines, which others may name as well."""
    return part == "all" or (":" not in part and any(mark in part for mark in "*?["))


def _named(part: str) -> list[str]:
    if not _is_several(part):
        baseline = parse_baseline(part)
        if baseline.settings:
            baseline.build()  # a wrong value is found here
        return [str(baseline)]
    found = baselines.names("*" if part == "all" else part)
    if not found:
        raise ConfigError(f"no baseline fits {part!r}; camzoo list baselines shows all")
    return found
