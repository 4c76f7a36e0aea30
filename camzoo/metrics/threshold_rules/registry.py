"""The registry of threshold rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from camzoo.core.registry import Registry, built_in

if TYPE_CHECKING:
    from camzoo.metrics.threshold_rules.base import ThresholdRule

rules: Registry[type[ThresholdRule]] = Registry(
    "threshold rule",
    group="camzoo.threshold_rules",
    base="camzoo.metrics.threshold_rules.base:ThresholdRule",
    facts=("needs", "paper"),
    sources=[built_in("camzoo.metrics.threshold_rules", "register_rule")],
)
