"""The registry of baselines. Importing it costs nothing: they are imported when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from camzoo.core.registry import Registry, built_in

if TYPE_CHECKING:
    from camzoo.segment.base import Baseline

_FACTS: Final = ("title", "supervision", "cost", "paper")

baselines: Registry[type[Baseline]] = Registry(
    "baseline",
    group="camzoo.baselines",
    base="camzoo.segment.base:Baseline",
    facts=_FACTS,
    typed=_FACTS,
    sources=[built_in("camzoo.segment", "register_baseline")],
)
