"""The registry of metrics. Importing it costs nothing: they are imported when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from camzoo.core.registry import Registry, built_in

if TYPE_CHECKING:
    from camzoo.metrics.base import Metric

metrics: Registry[type[Metric]] = Registry(
    "metric",
    group="camzoo.metrics",
    base="camzoo.metrics.base:Metric",
    facts=("label", "unit", "direction", "definition", "needs", "paper"),
    sources=[built_in("camzoo.metrics", "register_metric")],
)
