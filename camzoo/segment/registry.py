"""The registry of baselines. Importing it costs nothing: they are imported when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from camzoo.core.registry import Registry, built_in

if TYPE_CHECKING:
    from camzoo.segment.base import Baseline

baselines: Registry[type[Baseline]] = Registry(
    "baseline",
    group="camzoo.baselines",
    base="camzoo.segment.base:Baseline",
    facts=("title", "supervision", "cost", "paper", "tuned", "control"),
    typed=True,
    sources=[built_in("camzoo.segment", "register_baseline")],
)
