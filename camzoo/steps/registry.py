"""The registry of steps. Importing it costs nothing: a step is imported when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from camzoo.core.registry import Registry, built_in

if TYPE_CHECKING:
    from camzoo.steps.base import MapStep

steps: Registry[type[MapStep]] = Registry(
    "step",
    group="camzoo.steps",
    base="camzoo.steps.base:MapStep",
    facts=("remakes", "control", "cost", "paper", "tuned"),
    sources=[built_in("camzoo.steps", "register_step")],
)
