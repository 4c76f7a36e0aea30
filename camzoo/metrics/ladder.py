"""The same predictions, scored in the ways of the literature: how much each way adds.

Papers say "Dice" and mean the mean over volumes, over slices, or of all voxels pooled; with empty
slices as 1, left out, or only slices that show the organ; at a threshold from other patients or
from the scored masks. A :class:`Rung` is one such way. All are computed from result rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camzoo.core.protocol import Protocol
from camzoo.metrics.frames import numbered
from camzoo.metrics.overlap import dice
from camzoo.metrics.summary import summarise

#: Columns that rows of before they were counted lack.
_SLICES: Final = ("slices", "slices_failed", "slices_all", "slices_there")
#: Spacings that differ by less are one.
_ALIKE: Final = 1e-3


@dataclass(frozen=True)
class Rung:
    """A way of scoring.

    Attributes:
        name: How tables call it.
        does: What it does, in words.
        score: From rows of one protocol and the columns that tell lines apart to the DSC of each
            line; None where the rows lack what it needs.
        protocol: Protocol of the rows; those of the headline when left out.
        by_volume: Whether volumes of a patient may be in both the training and the test set.
    """

    name: str
    does: str
    score: Callable[[pd.DataFrame, Sequence[str]], pd.Series[float] | None]
    protocol: Protocol | None = None
    by_volume: bool = False


def volumes(rows: pd.DataFrame, by: Sequence[str]) -> pd.Series[float]:
    """Return the mean over volumes; a prediction that is empty or missing counts as 0."""
    return summarise(rows, "dsc", by, level=None).set_index(list(by))["mean_with_failures"]


def volumes_there(rows: pd.DataFrame, by: Sequence[str]) -> pd.Series[float] | None:
    """Return the same of volumes cut to the slices that show the organ."""
    rows = _of_counted(rows, by, ["n_pred_there"])
    if not len(rows):
        return None
    rows = rows[rows["n_ref"] > 0]
    tp, n_pred = (rows[name].astype("float64").fillna(0) for name in ("tp", "n_pred_there"))
    return volumes(rows.assign(dsc=dice(tp, n_pred, rows["n_ref"].astype("float64"))), by)


def slices_empty_1(rows: pd.DataFrame, by: Sequence[str]) -> pd.Series[float] | None:
    """Return the mean over all slices, of which those that both masks leave empty count as 1."""
    return _of_slices(rows, by, lambda part: part["empty"], lambda part: part["all"])


def slices_not_empty(rows: pd.DataFrame, by: Sequence[str]) -> pd.Series[float] | None:
    """Return the mean over the slices that either mask shows."""
    return _of_slices(rows, by, lambda part: 0 * part["all"], lambda part: part["either"])


def slices_there(rows: pd.DataFrame, by: Sequence[str]) -> pd.Series[float] | None:
    """Return the mean over the slices that show the organ in the reference."""
    return _of_slices(rows, by, lambda part: 0 * part["all"], lambda part: part["there"])


def pooled(rows: pd.DataFrame, by: Sequence[str]) -> pd.Series[float]:
    """Return the DSC of the voxels of all volumes together."""
    return _ratio(rows, by, 2 * _counts(rows, "tp"), _counts(rows, "n_pred", "n_ref"))


def pooled_there(rows: pd.DataFrame, by: Sequence[str]) -> pd.Series[float] | None:
    """Return the DSC of the voxels of all slices together that show the organ."""
    rows = _of_counted(rows, by, ["n_pred_there"])
    if not len(rows):
        return None
    return _ratio(rows, by, 2 * _counts(rows, "tp"), _counts(rows, "n_pred_there", "n_ref"))


#: The first is camzoo's own way; every other one departs from it by what it says.
RUNGS: Final = (
    Rung("volumes", "split by patient, threshold from other patients, mean over volumes", volumes),
    Rung("oracle threshold", "threshold best on the scored masks", volumes, Protocol.ORACLE),
    Rung(
        "oracle threshold per volume",
        "threshold best on each scored mask",
        volumes,
        Protocol.ORACLE_CASE,
    ),
    Rung("split by volume", "volumes of test patients are learnt from", volumes, by_volume=True),
    Rung(
        "split by volume, oracle threshold",
        "both of these",
        volumes,
        Protocol.ORACLE,
        by_volume=True,
    ),
    Rung("volumes cut to the organ", "slices without the organ are taken away", volumes_there),
    Rung("slices, empty = 1", "mean over all slices, 1 where both are empty", slices_empty_1),
    Rung("slices, empty dropped", "mean over slices that either mask shows", slices_not_empty),
    Rung("slices with the organ", "mean over slices that show the organ", slices_there),
    Rung("pooled", "voxels of all volumes together", pooled),
    Rung(
        "pooled over slices with the organ, oracle threshold",
        "the pseudo-masks of C-CAM's Tables 1 and 2",
        pooled_there,
        Protocol.ORACLE,
    ),
    Rung(
        "all of it",
        "split by volume, oracle threshold, mean over all slices with 1 for empty ones",
        slices_empty_1,
        Protocol.ORACLE,
        by_volume=True,
    ),
)


def distances(rows: pd.DataFrame, by: Sequence[str]) -> dict[str, pd.Series[float]]:
    """Return the ASD of each line as papers measure it, where the rows have it.

    Volumes and slices in which a mask is empty are left out, as papers do. A pixel is the spacing
    that two axes of a scan share; where none do, there are no pixels.

    Returns:
        By what it is: in volumes in mm, per slice in mm, per slice in pixels.
    """
    means = summarise(rows, "asd_mm", by, level=None).set_index(list(by))["mean"]
    found = {"ASD in volumes (mm)": means}
    rows = _of_counted(rows, by, ["slices"])
    if len(rows) and rows["asd_2d_mm"].notna().any():
        slices = rows["slices"].astype("float64")
        total = (rows["asd_2d_mm"].astype("float64") * slices).fillna(0)
        found["ASD per slice (mm)"] = _ratio(rows, by, total, slices)
        pixel = _pixel(rows)
        if np.isfinite(pixel).all():
            found["ASD per slice (pixels)"] = _ratio(rows, by, total / pixel, slices)
    return found


def _of_slices(
    rows: pd.DataFrame,
    by: Sequence[str],
    granted: Callable[[pd.DataFrame], pd.Series[float]],
    counted: Callable[[pd.DataFrame], pd.Series[float]],
) -> pd.Series[float] | None:
    """Mean over slices: the sum of their DSC and of what is granted, over how many are counted.

    A missing prediction is one without voxels.
    """
    rows = _of_counted(rows, by, _SLICES)
    if not len(rows) or not rows["dsc_2d"].notna().any():
        return None
    every, there = (rows[name].astype("float64") for name in ("slices_all", "slices_there"))
    either = (rows["slices"] + rows["slices_failed"]).astype("float64").fillna(there)
    part = pd.DataFrame({"all": every, "there": there, "either": either, "empty": every - either})
    reached = (rows["dsc_2d"].astype("float64") * either).fillna(0)
    return _ratio(rows, by, reached + granted(part), counted(part))


def _ratio(
    rows: pd.DataFrame, by: Sequence[str], above: pd.Series[float], below: pd.Series[float]
) -> pd.Series[float]:
    """Sums of one over sums of the other, per organ, averaged over organs that are there."""
    keys = [*by, "organ"]
    parts = rows[keys].assign(above=above, below=below)
    sums = parts[rows["n_ref"].groupby(rows["organ"], observed=True).transform("sum") > 0]
    summed = sums.groupby(keys, observed=True)[["above", "below"]].sum()
    ratio = summed["above"] / summed["below"].where(summed["below"] > 0)
    means: pd.Series[float] = ratio.groupby(level=list(by), observed=True).mean()
    return means


def _counts(rows: pd.DataFrame, *names: str) -> pd.Series[float]:
    total: pd.Series[float] = rows[list(names)].astype("float64").fillna(0).sum(axis=1)
    return total


def _of_counted(rows: pd.DataFrame, by: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """Rows of the lines of which every row has these counts, but for predictions that are missing.

    Records are put together, and those of before slices were counted lack them: a line that has
    some of its cases alone has no number.
    """
    if not set(names) <= set(rows.columns):
        return rows.iloc[:0]
    lacks = rows["n_pred"].notna() & rows[list(names)].isna().any(axis=1)
    lines, _ = numbered(rows, list(by))
    return rows[~np.isin(lines, lines[lacks.to_numpy()])]


def _pixel(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Spacing in mm that two axes share, [n]; NaN where no two do."""
    z, y, x = (rows[f"spacing_{axis}"].to_numpy("float64") for axis in "zyx")
    pairs = ((y, x), (z, y), (z, x))
    alike = [np.abs(one - other) < _ALIKE * one for one, other in pairs]
    return np.select(alike, [(one + other) / 2 for one, other in pairs], np.nan)
