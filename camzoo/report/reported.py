"""The numbers that the C-CAM paper reports, to stand beside measured ones.

Chen et al., "C-CAM: Causal CAM for Weakly Supervised Semantic Segmentation on Medical Image", CVPR
2022, Tables 1 to 4. Its Table 2 gives 52.66 for CAM on CHAOS (mean of the organs), its Table 1
gives 52.17 for the same.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
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
        dataset: Data set, as in result rows.
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
    row = _table2().get(method) or _table1().get(method, {})
    return float(row[column]) if column in row else None


@cache
def _table2() -> dict[str, dict[str, str]]:
    """Table 2 by method."""
    return {row["method"]: row for row in _rows("table2_cams.csv")}


@cache
def _table1() -> dict[str, dict[str, str]]:
    """Table 1 by method, under the names that camzoo has for its rows; organs are not given."""
    return {
        _ablated(row): {
            "promri": row["promri_dsc"], "acdc": row["acdc_dsc"], "chaos_mean": row["chaos_dsc"],
        }
        for row in _rows("table1_ablation.csv")
    }  # fmt: skip


def _ablated(row: Mapping[str, str]) -> str:
    parts = [part for part in ("cc", "ac", "aff") if row[part] == "1"]
    return f"{'p-cam' if parts == ['aff'] else 'c-cam'}[{','.join(parts)}]"


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("camzoo.report") / "reported" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
