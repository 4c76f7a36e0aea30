"""All registries; each has its home in the room of what it holds. Importing them costs nothing.

Executors alone stand above this room, whose registry is here.
"""

from __future__ import annotations

from typing import Any, Final

from camzoo.cams.registry import cams
from camzoo.core.registry import Registry, built_in
from camzoo.data.registry import datasets
from camzoo.metrics.registry import metrics
from camzoo.segment.registry import baselines
from camzoo.steps.registry import steps

__all__ = ["REGISTRIES", "baselines", "cams", "datasets", "executors", "metrics", "steps"]

executors: Registry[Any] = Registry(
    "executor",
    group="camzoo.executors",
    base="camzoo.harness.executors.base:Executor",
    facts=("where",),
    sources=[built_in("camzoo.harness.executors", "register_executor")],
)

#: By the word that the command line has for each.
REGISTRIES: Final[dict[str, Registry[Any]]] = {
    "cams": cams, "steps": steps, "baselines": baselines, "datasets": datasets,
    "metrics": metrics, "executors": executors,
}  # fmt: skip
