"""Which threshold each protocol scores a method with."""

from __future__ import annotations

import pandas as pd

from camzoo.bench.scores import Choice


def choose(curves: pd.DataFrame, fixed: float) -> list[Choice]:
    """Choose thresholds for the training and the test subset from the curves of one method."""
    validated = best(curves[curves["subset"] == "val"])
    choices = []
    for subset in ("train", "test"):
        oracle = best(curves[curves["subset"] == subset])
        choices += [
            Choice(subset, "oracle", oracle),
            Choice(subset, "validated", validated),
            Choice(subset, "fixed", fixed),
        ]
    return choices


def best(curves: pd.DataFrame) -> float:
    sums = curves.groupby(["threshold", "organ"])[["tp", "n_pred", "n_ref"]].sum()
    dsc = 2 * sums["tp"] / (sums["n_pred"] + sums["n_ref"]).clip(lower=1)
    return float(dsc.groupby("threshold").mean().idxmax())
