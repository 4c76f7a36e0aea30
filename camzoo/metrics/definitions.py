"""What every metric means: reports, docs and statistics look metrics up here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from camzoo.core.errors import ConfigError
from camzoo.core.plugin_import import said
from camzoo.metrics.base import Direction as Direction
from camzoo.metrics.base import Metric
from camzoo.metrics.registry import metrics

_TEXTS: Final = ("label", "definition")


def get_metric(name: str) -> Metric:
    """Return the metric called ``name``.

    Raises:
        UnknownNameError: There is none; the message lists those that exist.
        ConfigError: Its class cannot be imported, or does not say what it has to say.
    """
    return _made(metrics.get(name))


def all_metrics() -> list[Metric]:
    """Return the metrics in the order in which tables list them, without those that are broken.

    What is wrong with a broken one, ``camzoo list metrics`` and :func:`broken_metrics` say.
    """
    found = (_found(name) for name in metrics.names())
    sound = [metric for metric in found if isinstance(metric, Metric)]
    return sorted(sound, key=lambda metric: (metric.order, metric.name))


def stored_metrics() -> list[Metric]:
    """Return those that result rows have a column for, in the order of the columns."""
    return [metric for metric in all_metrics() if metric.stored]


def broken_metrics() -> list[str]:
    """Say of every registered metric that cannot be used why, a line each."""
    found = (_found(name) for name in metrics.names())
    return [fault for fault in found if isinstance(fault, str)]


def metrics_table() -> pd.DataFrame:
    """Return the definitions as text, a row per metric, for tables and documentation."""
    return pd.DataFrame(
        [
            {
                "metric": m.label,
                "column": m.name,
                "unit": m.unit or "none",
                "direction": m.direction.value,
                "range": f"{_bound(m.range[0])} to {_bound(m.range[1])}",
                "definition": m.definition,
                "one mask empty": one_empty(m),
                "both empty": f"{m.both_empty:g}, left out of means",
                "a failure counts as": m.worst,
            }
            for m in all_metrics()
        ]
    )


def one_empty(metric: Metric) -> str:
    """Say what a metric is where exactly one mask is empty."""
    given = metric.one_empty
    return given if isinstance(given, str) else f"{given:g}"


def _found(name: str) -> Metric | str:
    try:
        return get_metric(name)
    except ConfigError as error:
        return str(error)


@cache
def _made(cls: type[Metric]) -> Metric:
    """Make a metric, and hold it to what its class has to say."""
    who = f"the metric {cls.name!r} ({cls.__module__}:{cls.__qualname__})"
    try:
        metric = cls()
        fault = next(_faults(metric), "")
    except Exception as error:  # the class may be anybody's
        raise ConfigError(f"{who} cannot be used: {said(error)}") from error
    if fault:
        raise ConfigError(f"{who} {fault}")
    return metric


def _faults(metric: Metric) -> Iterator[str]:
    """What is wrong with what a metric says of itself."""
    for text in _TEXTS:
        given = getattr(metric, text)
        if not isinstance(given, str) or not given.strip() or "\n" in given:
            yield f"needs a {text}, a line of text, got {given!r}"
    if not isinstance(metric.direction, Direction):
        yield f"needs a direction, one of Direction, got {metric.direction!r}"
    low, high = map(float, metric.range)
    if not low < high:
        yield f"needs a range, its smallest and its largest value, got {low:g} and {high:g}"
    if not np.isfinite(metric.both_empty):
        yield "has no best value: say what it is for two empty masks, both_empty"
    bad = low if metric.direction is Direction.HIGHER else high
    if np.isinf(bad) and metric.unit != "mm" and type(metric).worst_of is Metric.worst_of:
        yield f"can be as bad as {bad:g}: say what a failure counts as, worst_of(rows) and worst"


def _bound(value: float) -> str:
    return f"{value:g}" if np.isfinite(value) else ("-∞" if value < 0 else "∞")
