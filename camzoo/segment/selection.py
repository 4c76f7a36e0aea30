"""From what a user writes after ``--baselines`` to the baselines of a run.

``sizeloss:weight=0.1`` is SizeLoss with another argument of its constructor, and
``p-cam:method=layer-cam`` trains the U-Net on other maps (:mod:`camzoo.core.spec`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from camzoo.core.errors import ConfigError
from camzoo.core.spec import Spec, build, parse, split_names, split_settings
from camzoo.segment.registry import baselines
from camzoo.steps.chain import Chain, parse_chain

if TYPE_CHECKING:
    from camzoo.segment.base import Baseline


def parse_baseline(text: str) -> Spec:
    """Read a baseline. It is imported only if settings are given.

    Raises:
        UnknownNameError: There is no such baseline or setting.
        ConfigError: A value is of the wrong type or out of its range, or the maps that the baseline
            would read are of no method.
    """
    spec = parse(text, baselines)
    if spec.settings:
        chains_read(spec, build(spec, baselines))
    return spec


def chains_read(spec: Spec, baseline: Baseline) -> dict[str, Chain]:
    """Return the chains whose maps a baseline reads, by their texts.

    Raises:
        ConfigError: One of them is of no method.
    """
    chains = {}
    for text in baseline.reads:
        try:
            chains[text] = parse_chain(text)
        except ConfigError as error:
            raise ConfigError(f"baseline {spec} reads maps of {text!r}: {error}") from error
    return chains


def select_baselines(text: str) -> tuple[str, ...]:
    """Return the baselines named in ``text``: names separated by commas, patterns, "all" or "none".

    Raises:
        ConfigError: A name or pattern fits nothing, or a setting is wrong.
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
    if not any(mark in split_settings(pattern)[0] for mark in "*?["):
        return [str(parse_baseline(part))]
    found = baselines.names(pattern)
    if not found:
        raise ConfigError(f"no baseline fits {part!r}; camzoo list baselines shows all")
    return found
