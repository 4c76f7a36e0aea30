"""The numbers that the C-CAM paper reports, to stand beside measured ones.

Chen et al., "C-CAM: Causal CAM for Weakly Supervised Semantic Segmentation on Medical Image", CVPR
2022, Tables 1 to 4. Its Table 2 gives 52.66 for CAM on CHAOS (mean of the organs), its Table 1
gives 52.17 for the same.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

#: Organs the paper scored; with any others its numbers say nothing.
_ORGANS = {
    "promri": ("prostate",),
    "acdc": ("left ventricle",),
    "chaos": ("left kidney", "liver", "right kidney", "spleen"),
}


def pooled_dsc(dataset: str, method: str, organs: tuple[str, ...]) -> float | None:
    """Pooled DSC in percent of pseudo-masks at the best threshold (Table 2), mean over organs.

    Args:
        dataset: As in result rows.
        method: Registry name.
        organs: That were scored, sorted.

    Returns:
        None where the paper has no such number.
    """
    if _ORGANS.get(dataset) != organs:
        return None
    column = "chaos_mean" if dataset == "chaos" else dataset
    return _number(method, column)


def pooled_dsc_of_organ(dataset: str, method: str, organ: str) -> float | None:
    """Likewise for one organ."""
    if organ not in _ORGANS.get(dataset, ()):
        return None
    return _number(method, f"chaos_{organ.replace(' ', '_')}" if dataset == "chaos" else dataset)


def _number(method: str, column: str) -> float | None:
    row = _table2().get(method)
    return float(row[column]) if row else None


@cache
def _table2() -> dict[str, dict[str, str]]:
    text = (files("camzoo.report") / "reported" / "table2_cams.csv").read_text(encoding="utf-8")
    return {row["method"]: row for row in csv.DictReader(text.splitlines())}
