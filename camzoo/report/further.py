"""How tables call a metric, and the metrics that plug-ins add to them."""

from __future__ import annotations

from typing import Final

import pandas as pd

from camzoo.evaluate.rows import NO_THRESHOLD, line_name, unknown_metrics
from camzoo.metrics.definitions import get_metric, stored_metrics
from camzoo.metrics.frames import groups
from camzoo.metrics.subregions import WHOLE
from camzoo.metrics.summary import summarise
from camzoo.registries import metrics as registry
from camzoo.report.table_cells import LINE, NONE, mean_std, spread
from camzoo.report.tables import HEADLINE

_LINE: Final = ["stage", *LINE]


def heading(name: str) -> str:
    """Return the heading of a column: the label of a metric with its unit."""
    metric = get_metric(name)
    return f"{metric.label} ({metric.unit})" if metric.unit else metric.label


def further_metrics(rows: pd.DataFrame) -> list[str]:
    """Return the metrics of plug-ins that were measured in some of the rows."""
    names = [m.name for m in stored_metrics() if registry.package(m.name) != "camzoo"]
    return [name for name in names if name in rows and rows[name].notna().any()]


def further_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Metrics of plug-ins in the test patients' volumes; empty without any.

    Of a metric that is not registered here nothing is known but its values: their mean ± sample
    standard deviation over rows.
    """
    protocols = rows["protocol"].isin([HEADLINE.value, NO_THRESHOLD])
    rows = rows[(rows["subset"] == "test") & (rows["region"] == WHOLE) & protocols]
    known = further_metrics(rows)
    unknown = [name for name in unknown_metrics(rows) if rows[name].notna().any()]
    if not known and not unknown:
        return pd.DataFrame()
    sums = {name: summarise(rows, name, _LINE, level=None).to_dict("records") for name in known}
    return pd.DataFrame(
        {"stage": key["stage"], "method": line_name(key["method"], key["variant"])}
        | {heading(name): spread(sums[name][position], 1) for name in known}
        | {
            name: mean_std(mine[name].dropna()) if mine[name].notna().any() else NONE
            for name in unknown
        }
        for position, (key, mine) in enumerate(groups(rows[[*_LINE, *unknown]], _LINE))
    )
