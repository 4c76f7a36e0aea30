"""Overlap of every case at every threshold: what all protocols are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from camzoo.cams.map_files import MapFiles
from camzoo.core.progress import Tick, silent
from camzoo.core.stored import Advice, made_again, read_frame
from camzoo.data.slices import Prepared
from camzoo.metrics.sweep import threshold_sweep

#: File of counts, in the folder of a stage and in that of a run.
CURVES: Final = "curves.parquet"
#: What it holds of each case.
COLUMNS: Final = {
    "organ": "text", "case": "text", "patient": "text", "threshold": "float", "tp": "int",
    "n_pred": "int", "n_ref": "int",
}  # fmt: skip


def read_curves(folder: Path, advice: Advice = made_again) -> pd.DataFrame:
    """Read the counts in ``folder``.

    Raises:
        DataError: They are damaged; the message ends in ``advice``.
    """
    return read_frame(folder / CURVES, COLUMNS, advice)


def sweep_cases(
    prepared: Prepared, maps: MapFiles, thresholds: Sequence[float], tick: Tick = silent
) -> pd.DataFrame:
    """Count the overlap of each case and organ at each threshold, on the grid of the scan.

    Returns:
        Columns organ, case, patient, threshold, tp, n_pred, n_ref; a row per threshold.
    """
    masks = prepared.vault.for_evaluation()
    records: list[dict[str, Any]] = []
    for done, info in enumerate(prepared.index.cases):
        counts = threshold_sweep(maps.volume(info).numpy(), masks.label(info.id), thresholds)
        for c, organ in enumerate(prepared.index.organs):
            for t, threshold in enumerate(thresholds):
                records.append(
                    {
                        "organ": organ,
                        "case": info.id,
                        "patient": info.patient,
                        "threshold": threshold,
                        "tp": int(counts.tp[c, t]),
                        "n_pred": int(counts.n_pred[c, t]),
                        "n_ref": int(counts.n_ref[c]),
                    }
                )
        tick(done + 1, len(prepared.index.cases))
    return pd.DataFrame.from_records(records)
