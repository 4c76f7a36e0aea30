"""From what a user writes after ``--baselines`` to names of baselines."""

from __future__ import annotations

from camzoo.core.errors import ConfigError
from camzoo.core.pairs import split_names
from camzoo.core.registries import baselines
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
    for part in split_names(text):
        chosen.update(dict.fromkeys(_named(part)))
    if not chosen:
        raise ConfigError("--baselines names no baseline; camzoo list baselines shows all")
    return tuple(chosen)


def _named(part: str) -> list[str]:
    pattern = "*" if part == "all" else part
    if ":" in part or not any(mark in pattern for mark in "*?["):
        baseline = parse_baseline(part)
        if baseline.settings:
            baseline.build()  # a wrong value is found here
        return [str(baseline)]
    found = baselines.names(pattern)
    if not found:
        raise ConfigError(f"no baseline fits {part!r}; camzoo list baselines shows all")
    return found
