"""What every metric means: the one table that reports, docs and statistics read.

A number without its definition cannot be compared with another tool's: "ASD" is directed in one
and symmetric in the next. So name, unit, direction, range, definition and the rule for empty masks
live here and are printed beside the numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import pandas as pd

from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.metrics.overlap import dice, iou, precision, recall, volume_difference_ml

#: Tolerance of the normalised surface distance, in mm.
NSD_TOLERANCE_MM: Final = 2.0

FromRows = Callable[[pd.DataFrame], "pd.Series[float]"]


class Direction(StrEnum):
    """Which values are good."""

    HIGHER = "higher is better"
    LOWER = "lower is better"
    ZERO = "nearer to 0 is better"


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: Its column in the result rows, or the name it is derived under.
        label: As tables print it.
        unit: "mm", "ml", or empty for a ratio.
        direction: Which values are good.
        range: Smallest and largest value.
        definition: In words, with the source where the name is used differently elsewhere.
        one_empty: What it is when exactly one mask is empty.
        both_empty: What it is when both are; means leave such cases out.
        worst: What a failure counts as, in words.
        worst_of: The same, for each of a frame of rows.
        derive: Computes it from the counts of a row, for what has no column of its own.
        slicewise: Whether it is a mean over slices, undefined where no slice has both masks.
    """

    name: str
    label: str
    unit: str
    direction: Direction
    range: tuple[float, float]
    definition: str
    one_empty: str
    both_empty: float
    worst: str
    worst_of: FromRows
    derive: FromRows | None = None
    slicewise: bool = False

    def values(self, rows: pd.DataFrame) -> pd.Series[float]:
        """Return the metric of every row; NaN where it is undefined.

        Raises:
            ConfigError: The rows lack the column.
        """
        if self.name in rows:
            return rows[self.name].astype("float64")
        if self.derive is None:
            raise ConfigError(
                f"the rows have no column {self.name}; score the cases again to get {self.label}"
            )
        return self.derive(rows)

    def goodness(self, values: pd.Series[float]) -> pd.Series[float]:
        """Return ``values`` turned so that higher is better."""
        if self.direction is Direction.ZERO:
            return -values.abs()
        return values if self.direction is Direction.HIGHER else -values


def get_metric(name: str) -> Metric:
    """Return the metric called ``name``.

    Raises:
        UnknownNameError: There is none; the message lists those that exist.
    """
    if name not in METRICS:
        raise UnknownNameError(f"unknown metric {name!r}; known: {', '.join(METRICS)}")
    return METRICS[name]


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
                "one mask empty": m.one_empty,
                "both empty": f"{m.both_empty:g}, left out of means",
                "a failure counts as": m.worst,
            }
            for m in METRICS.values()
        ]
    )


def _bound(value: float) -> str:
    return f"{value:g}" if np.isfinite(value) else ("-∞" if value < 0 else "∞")


def _zero(rows: pd.DataFrame) -> pd.Series[float]:
    return pd.Series(0.0, index=rows.index)


def _diagonal(rows: pd.DataFrame) -> pd.Series[float]:
    return rows["diagonal_mm"].astype("float64")


def _from_counts(formula: Callable[..., object]) -> FromRows:
    def derive(rows: pd.DataFrame) -> pd.Series[float]:
        counts = [rows[name].to_numpy("float64", na_value=np.nan) for name in _COUNTS]
        return pd.Series(np.asarray(formula(*counts)), index=rows.index)

    return derive


_COUNTS: Final = ("tp", "n_pred", "n_ref")


def _volume_difference(rows: pd.DataFrame) -> pd.Series[float]:
    voxel = rows[["spacing_z", "spacing_y", "spacing_x"]].astype("float64").prod(axis=1)
    n_pred, n_ref = (
        rows[name].to_numpy("float64", na_value=np.nan) for name in ("n_pred", "n_ref")
    )
    return pd.Series(volume_difference_ml(n_pred, n_ref, voxel.to_numpy()), index=rows.index)


def _all_missed(rows: pd.DataFrame) -> pd.Series[float]:
    return _volume_difference(rows.assign(n_pred=0))


def _ratio(name: str, label: str, definition: str, formula: Callable[..., object]) -> Metric:
    return Metric(
        name, label, "", Direction.HIGHER, (0, 1), definition,
        one_empty="0", both_empty=1, worst="0", worst_of=_zero, derive=_from_counts(formula),
    )  # fmt: skip


def _distance(name: str, label: str, definition: str, *, slicewise: bool = False) -> Metric:
    return Metric(
        name, label, "mm", Direction.LOWER, (0, np.inf), definition,
        one_empty="undefined", both_empty=0, worst="diagonal of the volume", worst_of=_diagonal,
        slicewise=slicewise,
    )  # fmt: skip


_ALL: Final = (
    _ratio("dsc", "DSC", "2|A∩B| / (|A|+|B|), in voxels", dice),
    _ratio("iou", "IoU", "|A∩B| / (|A|+|B|-|A∩B|)", iou),
    _ratio("precision", "precision", "|A∩B| / |A|", precision),
    _ratio("recall", "recall", "|A∩B| / |B|", recall),
    Metric(
        "volume_difference_ml", "volume difference", "ml", Direction.ZERO, (-np.inf, np.inf),
        "volume of the prediction minus volume of the reference",
        one_empty="the other's volume, signed", both_empty=0,
        worst="minus the volume of the reference", worst_of=_all_missed, derive=_volume_difference,
    ),
    _distance(
        "asd_mm", "ASD",
        "mean over the surface points of both masks, pooled, of the distance to the other surface "
        "(symmetric; medpy 0.5.2 calls it ASSD)",
    ),
    _distance(
        "mad_mm", "MAD",
        "mean over the surface points of the prediction of the distance to the reference surface "
        "(directed; medpy calls it ASD)",
    ),
    _distance(
        "mad_reverse_mm", "MAD reverse",
        "mean over the surface points of the reference of the distance to the predicted surface",
    ),
    _distance("assd_mm", "ASSD", "mean of MAD and MAD reverse, unweighted"),
    _distance("hd_mm", "HD", "largest distance from any surface point to the other surface"),
    _distance(
        "hd95_mm", "HD95",
        "95th percentile of the distances of both directions, pooled "
        "(MONAI takes the larger of two percentiles)",
    ),
    Metric(
        "nsd_2mm", f"NSD at {NSD_TOLERANCE_MM:g} mm", "", Direction.HIGHER, (0, 1),
        f"share of the surface points of both masks within {NSD_TOLERANCE_MM:g} mm of the other "
        "surface, each point counted once",
        one_empty="0", both_empty=1, worst="0", worst_of=_zero,
    ),
    Metric(
        "dsc_2d", "DSC per slice", "", Direction.HIGHER, (0, 1),
        "mean of the DSC of all slices that have either mask",
        one_empty="0", both_empty=1, worst="0", worst_of=_zero,
    ),
    *(
        _distance(
            f"{name.lower()}_2d_mm", f"{name} per slice",
            f"mean of the {name} of the outlines in all slices that have both masks",
            slicewise=True,
        )
        for name in ("ASD", "MAD", "HD95")
    ),
    _distance(
        "asd_full_mm", "ASD to the full surface",
        "as ASD, but only points inside the region count and the other surface is not cropped",
    ),
    _distance(
        "mad_full_mm", "MAD to the full surface",
        "as MAD, but only points inside the region count and the reference is not cropped",
    ),
)  # fmt: skip

#: Metrics by name, in the order in which tables list them.
METRICS: Final[dict[str, Metric]] = {metric.name: metric for metric in _ALL}
