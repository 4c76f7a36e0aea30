"""The contract of a metric: one class says what it is called, what it means and how it is measured.

A number without its definition cannot be compared with another tool's: "ASD" is directed in one
and symmetric in the next. So a metric carries its unit, direction, range, definition and the rule
for empty masks, and they are printed beside its numbers. ``@register_metric("name")`` or the
entry-point group ``camzoo.metrics`` makes it a column of result rows, of ``bench`` and ``score``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from camzoo.core.errors import CamzooError, ConfigError, DataError
from camzoo.core.plugin_import import said
from camzoo.metrics.registry import metrics
from camzoo.metrics.status import Status

if TYPE_CHECKING:
    from camzoo.metrics.mask_pair import MaskPair

#: Value of :attr:`Metric.one_empty` of a metric that needs both masks.
UNDEFINED: Final = "undefined"
_COUNTS: Final = ("tp", "n_pred", "n_ref")
_SPACING: Final = ("spacing_z", "spacing_y", "spacing_x")


class Direction(StrEnum):
    """Which values are good."""

    HIGHER = "higher is better"
    LOWER = "lower is better"
    ZERO = "nearer to 0 is better"


class Needs(StrEnum):
    """What a metric is measured from, and so in which rows it stands.

    Voxel counts, the masks and the distances of their surfaces are there for every pair of masks.
    Outlines slice by slice are there for whole masks where they are asked for; the surfaces as they
    were before they were cropped, for regions.
    """

    PAIR = "both masks"
    SLICES = "both masks slice by slice"
    UNCROPPED = "a region of the uncropped masks"


class Metric(ABC):
    """A number that says how well a predicted mask fits its reference.

    The first line of the docstring says what the metric is; it stands in lists and in the files of
    result rows. :meth:`measure` is asked only where the masks leave something to measure: a pair of
    empty masks is :attr:`both_empty`, and one empty mask is what :attr:`one_empty` says.

    Attributes:
        name: Its name in the registry and its column in result rows, set on registration.
        label: How tables call it.
        unit: "mm", "ml", or empty for a ratio.
        direction: Which values are good.
        range: Smallest and largest value; a row with a value outside is refused.
        definition: The formula in words, with the source where others use the name differently.
        one_empty: The value where exactly one mask is empty: a number, :data:`UNDEFINED`, or other
            words where :meth:`measure` knows it.
        needs: What it is measured from.
        stored: Whether result rows have a column for it; one that follows from voxel counts need
            not have one.
        order: Metrics stand in this order in rows and lists, equal ones by name.
        paper: First author, venue and year.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    unit: ClassVar[str] = ""
    direction: ClassVar[Direction] = Direction.HIGHER
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = ""
    one_empty: ClassVar[float | str] = 0.0
    needs: ClassVar[Needs] = Needs.PAIR
    stored: ClassVar[bool] = True
    order: ClassVar[int] = 1000
    paper: ClassVar[str] = ""

    @abstractmethod
    def measure(self, pair: MaskPair) -> float:
        """Measure a prediction, neither mask being empty (but see :attr:`one_empty`)."""

    @property
    def both_empty(self) -> float:
        """The value where both masks are empty, the best there is; means leave such cases out."""
        low, high = self.range
        return {Direction.HIGHER: high, Direction.LOWER: low}.get(self.direction, 0.0)

    @property
    def worst(self) -> str:
        """What a failure counts as, in words."""
        end = self._worst_end
        return f"{end:g}" if np.isfinite(end) else "diagonal of the volume"

    @property
    def undefined_without_slices(self) -> bool:
        """Whether it is a mean over the slices that have both masks, of which there may be none."""
        return self.needs is Needs.SLICES and self.one_empty == UNDEFINED

    def worst_of(self, rows: pd.DataFrame) -> pd.Series[float]:
        """Return what a failure counts as in each row: the bad end of the range.

        Of a length that can be any it is the diagonal of the volume.
        """
        if np.isfinite(self._worst_end):
            return pd.Series(self._worst_end, index=rows.index, dtype="float64")
        return rows["diagonal_mm"].astype("float64")

    def value_of(self, pair: MaskPair) -> float:
        """Return the metric of a pair of masks, NaN where it is undefined.

        Raises:
            DataError: :meth:`measure` failed, or gave something that is no value of the metric.
        """
        if pair.status is Status.EMPTY_BOTH:
            return self.both_empty
        if pair.status is not Status.OK and self.one_empty == UNDEFINED:
            return float("nan")
        if pair.status is not Status.OK and not isinstance(self.one_empty, str):
            return float(self.one_empty)
        return self._measured(pair)

    def values(self, rows: pd.DataFrame) -> pd.Series[float]:
        """Return the metric of every row; NaN where it is undefined.

        Raises:
            ConfigError: The rows lack the column.
        """
        if self.name not in rows:
            raise ConfigError(
                f"the rows have no column {self.name}; score the cases again to get {self.label}"
            )
        return rows[self.name].astype("float64")

    def goodness(self, values: pd.Series[float]) -> pd.Series[float]:
        """Return ``values`` turned so that higher is better."""
        if self.direction is Direction.ZERO:
            return -values.abs()
        return values if self.direction is Direction.HIGHER else -values

    @property
    def _worst_end(self) -> float:
        low, high = self.range
        return low if self.direction is Direction.HIGHER else high

    def _measured(self, pair: MaskPair) -> float:
        """Measure, and believe nothing unseen: the class may be anybody's."""
        try:
            value = float(self.measure(pair))
        except (CamzooError, MemoryError, OSError):
            raise
        except Exception as error:
            raise DataError(
                f"the metric {self.name!r} cannot be measured: {said(error)}"
            ) from error
        low, high = self.range
        may_lack = self.needs is not Needs.PAIR and np.isnan(value)
        if not ((np.isfinite(value) and low <= value <= high) or may_lack):
            raise DataError(
                f"the metric {self.name!r} gave {value:g}, its range is {low:g} to {high:g}"
            )
        return value


class VoxelCounts(NamedTuple):
    """Counts of voxels, each a number or an array [n].

    Attributes:
        tp: Voxels in both masks.
        n_pred: Voxels in the prediction.
        n_ref: Voxels in the reference.
        voxel_mm3: Volume of a voxel; NaN for the summed counts of many cases.
    """

    tp: Any
    n_pred: Any
    n_ref: Any
    voxel_mm3: Any


class CountMetric(Metric):
    """A metric that follows from voxel counts: of a case, of a row, and of many cases together.

    Attributes:
        pooled: Whether it has a meaning for the summed counts of many cases.
    """

    pooled: ClassVar[bool] = True

    @abstractmethod
    def from_counts(self, counts: VoxelCounts) -> ArrayLike:
        """Compute it from counts of voxels: a number, or an array [n] as they are.

        Where a mask is empty the result is set afterwards, as :meth:`Metric.measure` says.
        """

    def measure(self, pair: MaskPair) -> float:
        """Compute it from the counts of the pair."""
        return float(np.asarray(self.from_counts(VoxelCounts(*pair.counts, pair.voxel_mm3))))

    def values(self, rows: pd.DataFrame) -> pd.Series[float]:
        """Return the column where the rows have it, else what the counts give."""
        return super().values(rows) if self.name in rows else self.derive(rows)

    def derive(self, rows: pd.DataFrame) -> pd.Series[float]:
        """Compute it from the counts of every row; NaN where counts are missing."""
        tp, n_pred, n_ref = (rows[c].to_numpy("float64", na_value=np.nan) for c in _COUNTS)
        voxel = np.full(len(rows), np.nan)
        if set(_SPACING) <= set(rows):
            voxel = rows[list(_SPACING)].astype("float64").prod(axis=1, skipna=False).to_numpy()
        with np.errstate(divide="ignore", invalid="ignore"):  # empty masks, set right below
            found = np.array(self.from_counts(VoxelCounts(tp, n_pred, n_ref, voxel)), np.float64)
        if not isinstance(self.one_empty, str):
            found[(n_pred == 0) ^ (n_ref == 0)] = self.one_empty
        found[(n_pred == 0) & (n_ref == 0)] = self.both_empty
        return pd.Series(np.where(np.isnan(tp), np.nan, found), index=rows.index)


M = TypeVar("M", bound=type[Metric])


def register_metric(name: str) -> Callable[[M], M]:
    """Class decorator that makes a :class:`Metric` known to the whole program as ``name``.

    Raises:
        ConfigError: The name is taken, or the class is no metric.
    """
    return metrics.register(name)
