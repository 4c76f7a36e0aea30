"""The numbers of the C-CAM paper's Tables 3 and 4: volumes of the test set after the U-Net.

Mean ± standard deviation over volumes. The ACDC of its Table 4 is split by volume, not by patient.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from camzoo.metrics.subregions import WHOLE

#: Data set -> (file, organs it scored).
_TABLES: Final = {
    "promri": ("table3_wsss_promri.csv", ("prostate",)),
    "acdc": ("table4_wsss_acdc.csv", ("left ventricle",)),
}
_METRICS: Final = ("dsc", "asd_mm", "mad_mm")


def reported_volumes(
    dataset: str, organs: tuple[str, ...], region: str = WHOLE
) -> Mapping[str, Mapping[str, str]]:
    """Return "mean ± std" by baseline and metric (dsc in percent, asd_mm, mad_mm).

    Args:
        dataset: Data set, as in result rows.
        organs: That were scored, sorted; with any others the paper's numbers say nothing.
        region: whole, apex, mid or base.

    Returns:
        Nothing where the paper has no such table.
    """
    file, scored = _TABLES.get(dataset, ("", ()))
    return _table(file).get(region, {}) if organs == scored else {}


@cache
def _table(file: str) -> dict[str, dict[str, dict[str, str]]]:
    """By region, baseline and metric."""
    text = (files("camzoo.report") / "reported" / file).read_text(encoding="utf-8")
    table: dict[str, dict[str, dict[str, str]]] = {}
    for row in csv.DictReader(text.splitlines()):
        numbers = {
            name: f"{_two(row, name, 'mean')} ± {_two(row, name, 'std')}" for name in _METRICS
        }
        table.setdefault(row.get("region", WHOLE), {})[row["method"]] = numbers
    return table


def _two(row: Mapping[str, str], metric: str, what: str) -> str:
    return f"{float(row[f'{metric}_{what}']):.2f}"
