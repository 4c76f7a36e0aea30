"""Stored overlap curves of one method, as arrays that protocols pick thresholds from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camzoo.core.errors import ConfigError
from camzoo.metrics.overlap import dice
from camzoo.metrics.sweep import SweepCounts

#: Columns every table of curves has, besides those that name the method and its run.
CURVE_COLUMNS: Final = (
    "organ", "case", "patient", "subset", "threshold", "tp", "n_pred", "n_ref",
)  # fmt: skip
#: How good a threshold is for an organ of a case by what its mask looks like; absent where nobody
#: looked.
SUITABILITY: Final = "suitability"
FloatArray = NDArray[np.float64]
#: Scores nearer than this are one plateau.
_SAME = 1e-12


def curve_records(
    counts: SweepCounts,
    organs: Sequence[str],
    suitability: FloatArray | None = None,
    **keys: object,
) -> pd.DataFrame:
    """Return the counts of one case as a long table: a row per organ and threshold.

    Args:
        counts: Counts of all organs of the case.
        organs: Names of the classes 1..C.
        suitability: Shape [C, T], of :func:`camzoo.metrics.threshold_rules.base.suitability`; no
            such column without.
        keys: Further columns, the same in each row: case, patient, subset, method, ...
    """
    classes, levels = counts.tp.shape
    more = {} if suitability is None else {SUITABILITY: suitability.ravel()}
    return pd.DataFrame(
        {
            **{name: [value] * (classes * levels) for name, value in keys.items()},
            "organ": np.repeat(np.asarray(organs, dtype=object), levels),
            "threshold": np.tile(counts.thresholds, classes),
            "tp": counts.tp.ravel(),
            "n_pred": counts.n_pred.ravel(),
            "n_ref": np.repeat(counts.n_ref, levels),
            **more,
        }
    )


@dataclass(frozen=True)
class Curves:
    """Counts of one method: N cases, C organs, T thresholds.

    Attributes:
        cases: A row per case: case, patient, subset.
        organs: Names, length C.
        thresholds: Shape [T], ascending.
        tp: Shape [N, C, T].
        n_pred: Shape [N, C, T].
        n_ref: Shape [N, C].
        suitability: Shape [N, C, T]: how good thresholds are without masks; NaN where an organ has
            no map. None where nobody looked.
    """

    cases: pd.DataFrame
    organs: tuple[str, ...]
    thresholds: FloatArray
    tp: NDArray[np.int64]
    n_pred: NDArray[np.int64]
    n_ref: NDArray[np.int64]
    suitability: FloatArray | None = None

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Curves:
        """Read the curves of one method.

        Raises:
            ConfigError: A column is missing, a row occurs twice, or a case lacks an organ or a
                threshold that others have.
        """
        absent = [name for name in CURVE_COLUMNS if name not in frame]
        if absent:
            raise ConfigError(f"the table of curves lacks the columns {', '.join(absent)}")
        cases = frame[["case", "patient", "subset"]].drop_duplicates().sort_values("case")
        organs = tuple(dict.fromkeys(frame["organ"]))
        thresholds = np.unique(frame["threshold"].to_numpy(dtype=np.float64))
        shape = (len(cases), len(organs), len(thresholds))
        _require_full(frame, cases, shape)
        rank = frame["organ"].map({organ: i for i, organ in enumerate(organs)})
        ordered = frame.assign(_organ=rank).sort_values(["case", "_organ", "threshold"])
        tp, n_pred, n_ref = (
            ordered[name].to_numpy(dtype=np.int64).reshape(shape)
            for name in ("tp", "n_pred", "n_ref")
        )
        suits = None
        if SUITABILITY in ordered:
            suits = ordered[SUITABILITY].to_numpy(dtype=np.float64).reshape(shape)
        numbered = cases.reset_index(drop=True)
        return cls(numbered, organs, thresholds, tp, n_pred, n_ref[..., 0], suits)

    def take(self, keep: NDArray[np.bool_]) -> Curves:
        """Return the cases for which ``keep`` [N] is true."""
        return replace(
            self,
            cases=self.cases[keep].reset_index(drop=True),
            tp=self.tp[keep],
            n_pred=self.n_pred[keep],
            n_ref=self.n_ref[keep],
            suitability=None if self.suitability is None else self.suitability[keep],
        )

    def subset(self, name: str) -> Curves:
        """Return the cases of one subset.

        Raises:
            ConfigError: There are none.
        """
        keep = (self.cases["subset"] == name).to_numpy(dtype=bool)
        if not keep.any():
            known = ", ".join(sorted(self.cases["subset"].unique()))
            raise ConfigError(f"the curves hold no case of the subset {name!r}, only {known}")
        return self.take(keep)

    def best(self) -> int:
        """Return the position of the best threshold for all cases and organs together.

        It maximises the mean over organs of the pooled DSC; organs that no case has are left out.
        """
        return middle_of_best(
            _mean_over_organs(self.tp.sum(0), self.n_pred.sum(0), self.n_ref.sum(0))
        )

    def best_per_case(self) -> list[int]:
        """Return for each case the position of its own best threshold for all organs."""
        return [
            middle_of_best(_mean_over_organs(*counts))
            for counts in zip(self.tp, self.n_pred, self.n_ref, strict=True)
        ]

    def most_suitable(self) -> int:
        """Return the position of the threshold that suits all cases and organs best, without masks.

        It maximises the mean over organs of the mean over the cases that have a map of the organ.
        Where no case has any map, all thresholds suit alike.

        Raises:
            ConfigError: The curves do not say how suitable thresholds are.
        """
        if self.suitability is None:
            raise ConfigError(
                "no threshold can be chosen without masks: the curves do not say how suitable "
                "thresholds are; sweep the maps with their scans, or leave the protocol mask-free "
                "out"
            )
        known = [suits[~np.isnan(suits).all(axis=-1)] for suits in self.suitability.swapaxes(0, 1)]
        organs = [suits.mean(axis=0) for suits in known if len(suits)]
        alike = np.zeros(len(self.thresholds))
        return middle_of_best(np.mean(organs, axis=0) if organs else alike)

    def at(self, positions: Sequence[int]) -> pd.DataFrame:
        """Return the counts at one threshold position per case: a row per case and organ."""
        index = np.arange(len(self.cases))
        columns: dict[str, Any] = {
            name: np.repeat(self.cases[name].to_numpy(), len(self.organs))
            for name in ("case", "patient", "subset")
        }
        columns["organ"] = np.tile(np.asarray(self.organs, dtype=object), len(self.cases))
        columns["threshold"] = np.repeat(self.thresholds[list(positions)], len(self.organs))
        columns["tp"] = self.tp[index, :, positions].ravel()
        columns["n_pred"] = self.n_pred[index, :, positions].ravel()
        columns["n_ref"] = self.n_ref.ravel()
        columns["dsc"] = dice(columns["tp"], columns["n_pred"], columns["n_ref"])
        return pd.DataFrame(columns)


def _mean_over_organs(
    tp: NDArray[np.int64], n_pred: NDArray[np.int64], n_ref: NDArray[np.int64]
) -> FloatArray:
    """Mean DSC [T] over the organs that are there, from counts [C, T], [C, T], [C]."""
    there = n_ref > 0
    if not there.any():
        there = np.ones_like(there)
    mean: FloatArray = dice(tp[there], n_pred[there], n_ref[there, None]).mean(axis=0)
    return mean


def middle_of_best(scores: FloatArray) -> int:
    """Position of the best score; on a plateau its middle, rounded towards the lower end.

    Where several plateaus tie, the longest is taken, then the lowest: it is the choice that a
    small change of the data upsets least.
    """
    top = scores >= scores.max() - _SAME
    edges = np.flatnonzero(np.diff(np.concatenate([[False], top, [False]]).astype(np.int8)))
    starts, stops = edges[::2], edges[1::2]
    longest = int(np.argmax(stops - starts))
    return int(starts[longest] + stops[longest] - 1) // 2


def _require_full(frame: pd.DataFrame, cases: pd.DataFrame, shape: tuple[int, int, int]) -> None:
    if cases["case"].duplicated().any():
        twice = cases.loc[cases["case"].duplicated(), "case"].iloc[0]
        raise ConfigError(f"case {twice} has two patients or subsets in the table of curves")
    keys = ["case", "organ", "threshold"]
    if frame.duplicated(keys).any():
        twice = frame.loc[frame.duplicated(keys), keys].iloc[0].to_dict()
        raise ConfigError(
            f"two rows of the curves share {twice}; give one method and one run at a time"
        )
    if len(frame) != np.prod(shape):
        counts = frame.groupby("case").size()
        raise ConfigError(
            f"case {counts.idxmin()} has {counts.min()} rows of curves where "
            f"{shape[1]} organs at {shape[2]} thresholds need {shape[1] * shape[2]}; "
            "sweep all cases at the same thresholds"
        )
