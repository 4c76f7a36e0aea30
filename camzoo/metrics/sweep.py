"""Overlap at any number of thresholds from one pass over a map.

Rule (IRNet): a plane that holds the threshold everywhere is put in front of the class maps as
background, and the argmax of all planes is the label. So a voxel takes the class of its largest map
(the lowest class on a tie) where that value exceeds the threshold, and is background elsewhere.

The winning class does not depend on the threshold. One histogram of winning values, by class and
by hit or miss, therefore holds the counts of all thresholds; reversed cumulative sums read them
off. Thresholds are compared in the type of the maps, as ``maps > threshold`` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camzoo.core.errors import ConfigError, DataError
from camzoo.metrics.overlap import dice

Array = TypeVar("Array", NDArray[Any], Tensor)
IntArray = NDArray[np.int64]
#: Voxels that are worked on at a time: their temporaries fit into a core's cache.
_CHUNK = 1 << 16
_CELLS = 1024


@dataclass(frozen=True)
class SweepCounts:
    """Voxel counts at every threshold; those of several cases are pooled by adding them.

    Attributes:
        thresholds: Shape [T], ascending.
        tp: Shape [C, T]: voxels of class c (row c - 1) in prediction and reference.
        n_pred: Shape [C, T]: voxels of the prediction.
        n_ref: Shape [C]: voxels of the reference.
    """

    thresholds: NDArray[np.float64]
    tp: IntArray
    n_pred: IntArray
    n_ref: IntArray

    @property
    def dsc(self) -> NDArray[np.float64]:
        """Dice similarity coefficient, shape [C, T]; 1 where both masks are empty."""
        return dice(self.tp, self.n_pred, self.n_ref[:, None])

    def __add__(self, other: SweepCounts) -> SweepCounts:
        if not isinstance(other, SweepCounts):
            return NotImplemented
        if not np.array_equal(self.thresholds, other.thresholds) or len(self.tp) != len(other.tp):
            raise ConfigError(
                "only counts of the same thresholds and classes can be pooled, got "
                f"{_describe(self)} and {_describe(other)}"
            )
        return SweepCounts(
            self.thresholds,
            self.tp + other.tp,
            self.n_pred + other.n_pred,
            self.n_ref + other.n_ref,
        )


def threshold_sweep(maps: Array, labels: Array, thresholds: Sequence[float]) -> SweepCounts:
    """Count overlap at every threshold, exactly as one comparison per threshold would.

    Arrays and CPU tensors are worked on in place with numpy; tensors on an accelerator stay there.

    Args:
        maps: Shape [C, ...], floating point; larger means more evidence for the class.
        labels: Shape [...], integers; 0 is background, c is the class of ``maps[c - 1]``.
        thresholds: Ascending.

    Raises:
        DataError: Shapes differ, maps are not floating point or hold NaN, or a label has no map.
        ConfigError: Thresholds are not ascending finite numbers.
    """
    levels = _as_levels(thresholds)
    _require_pair(tuple(maps.shape), tuple(labels.shape))
    if isinstance(maps, Tensor):
        if maps.device.type != "cpu" or maps.dtype is torch.bfloat16:
            return _finish(levels, *_count_torch(maps, torch.as_tensor(labels), levels))
        return _finish(levels, *_count_numpy(maps.detach().numpy(), _host(labels), levels))
    return _finish(levels, *_count_numpy(maps, _host(labels), levels))


def apply_threshold(maps: Array, threshold: float) -> Array:
    """Return the label volume [...] (uint8) of maps [C, ...] by the rule of the sweep.

    Raises:
        DataError: Maps are not floating point or hold NaN, or there are more than 255 classes.
    """
    _require_maps(maps)
    if isinstance(maps, Tensor):
        top, index = maps.max(dim=0)
        _refuse_nan(maps, bool(top.isnan().any()))
        level = torch.tensor(threshold, dtype=maps.dtype, device=maps.device)
        return torch.where(top > level, index + 1, 0).to(torch.uint8)
    best, winner = _winner(maps.astype(wide_type(maps.dtype), copy=False))
    _refuse_nan(maps, bool(np.isnan(best).any()))
    winner += np.uint8(1)
    winner *= best > best.dtype.type(maps.dtype.type(threshold))
    return winner


def _count_numpy(
    maps: NDArray[Any], labels: NDArray[Any], levels: NDArray[np.float64]
) -> tuple[IntArray, IntArray]:
    """Return the histogram [hit or miss, class, level] and the reference counts [class]."""
    _require_maps(maps)
    _require(np.issubdtype(labels.dtype, np.integer), "labels must be integers", labels.dtype)
    classes, bins = len(maps), len(levels) + 1
    rank = _Ranker(levels, maps.dtype)
    flat, flat_labels = maps.reshape(classes, -1), labels.reshape(-1)
    _require_labels(flat_labels, classes)
    histogram = np.zeros(2 * classes * bins, dtype=np.int64)
    n_ref = np.zeros(classes + 1, dtype=np.int64)
    for start in range(0, flat_labels.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        best, winner = _winner(flat[:, part].astype(rank.kind, copy=False))
        _refuse_nan(maps, bool(np.isnan(best).any()))
        truth = flat_labels[part].astype(np.intp)
        code = (truth == winner + np.intp(1)) * np.intp(classes) + winner
        histogram += np.bincount(code * bins + rank(best), minlength=histogram.size)
        n_ref += np.bincount(truth, minlength=classes + 1)
    return histogram.reshape(2, classes, bins), n_ref[1:]


def _count_torch(
    maps: Tensor, labels: Tensor, levels: NDArray[np.float64]
) -> tuple[IntArray, IntArray]:
    """The same on the device of the maps."""
    _require_maps(maps)
    _require(not labels.dtype.is_floating_point, "labels must be integers", labels.dtype)
    classes, bins = len(maps), len(levels) + 1
    truth = labels.to(maps.device, torch.int64).reshape(-1)
    _require_range(int(truth.min()), int(truth.max()), classes)
    best, winner = maps.detach().reshape(classes, -1).max(dim=0)
    _refuse_nan(maps, bool(best.isnan().any()))
    # Rounded to the type of the maps first, then widened: bucketize lacks the half types.
    edges = torch.tensor(levels, device=maps.device).to(maps.dtype)
    wide = torch.promote_types(maps.dtype, torch.float32)
    rank = torch.bucketize(best.to(wide), edges.to(wide))
    code = ((truth == winner + 1) * classes + winner) * bins + rank
    histogram = torch.bincount(code, minlength=2 * classes * bins).cpu().numpy()
    n_ref = torch.bincount(truth, minlength=classes + 1)[1:].cpu().numpy()
    return histogram.reshape(2, classes, bins), n_ref


def _finish(levels: NDArray[np.float64], histogram: IntArray, n_ref: IntArray) -> SweepCounts:
    """Turn the histogram by level into counts above each level."""
    above = histogram[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]
    return SweepCounts(levels, above[1].copy(), above.sum(axis=0), n_ref.astype(np.int64))


def _winner(maps: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return the largest value of maps [C, ...] and the class index it belongs to.

    Running maxima of few planes cost a tenth of ``argmax`` along a strided axis.
    """
    best = maps[0].copy()
    winner: NDArray[np.uint8] = np.zeros(best.shape, dtype=np.uint8)
    for index in range(1, len(maps)):
        better = maps[index] > best
        np.maximum(winner, better.view(np.uint8) * np.uint8(index), out=winner)
        np.maximum(best, maps[index], out=best)
    return best, winner


class _Ranker:
    """How many levels lie below a value, at a cost that does not depend on how many there are.

    The range of the levels is cut into equal cells. Both steps of finding a cell (multiply, cut
    off) are monotone in floating point, so all levels of lower cells lie below the value; only
    those of its own cell, mostly one or none, are compared with it.
    """

    def __init__(self, levels: NDArray[np.float64], kind: np.dtype[Any]) -> None:
        self.kind = wide_type(kind)
        rounded = levels.astype(kind).astype(self.kind)
        span = rounded[-1] - rounded[0]
        self._low = rounded[0]
        self._scale = self.kind.type(_CELLS / span if span > 0 else 1)
        cells = self._cells(rounded)
        self._below = np.searchsorted(cells, np.arange(_CELLS + 2))
        self._rounds = int(np.bincount(cells).max())
        self._levels = np.append(rounded, self.kind.type(np.inf))

    def __call__(self, values: NDArray[Any]) -> NDArray[np.intp]:
        """Return the number of levels strictly below each of ``values``, which are of ``kind``."""
        rank: NDArray[np.intp] = self._below[self._cells(values)]
        for _ in range(self._rounds):
            rank += values > self._levels[rank]
        return rank

    def _cells(self, values: NDArray[Any]) -> NDArray[np.intp]:
        scaled = (values - self._low) * self._scale
        cells: NDArray[np.intp] = np.clip(scaled, 0, _CELLS + 1).astype(np.intp)
        return cells


def wide_type(kind: np.dtype[Any]) -> np.dtype[Any]:
    """The type to compute in: halves are widened, which is exact; numpy is slow with them."""
    return np.promote_types(kind, np.float32)


def _as_levels(thresholds: Sequence[float]) -> NDArray[np.float64]:
    levels = np.asarray(thresholds, dtype=np.float64)
    if levels.ndim != 1 or not levels.size or not np.isfinite(levels).all():
        raise ConfigError(f"thresholds must be a list of finite numbers, got {thresholds}")
    if (np.diff(levels) <= 0).any():
        raise ConfigError(f"thresholds must ascend without repeats, got {thresholds}")
    return levels


def _host(labels: NDArray[Any] | Tensor) -> NDArray[Any]:
    return labels.detach().cpu().numpy() if isinstance(labels, Tensor) else labels


def _require_pair(maps: tuple[int, ...], labels: tuple[int, ...]) -> None:
    if len(maps) < 2 or maps[0] < 1 or maps[1:] != labels:
        raise DataError(
            "maps must be [C, ...] over labels [...], got shapes "
            f"{maps} and {labels}; resize the maps to the grid of the labels"
        )


def _require(holds: bool, expected: str, got: object) -> None:
    if not holds:
        raise DataError(f"{expected}, got {got}")


def _require_labels(labels: NDArray[Any], classes: int) -> None:
    if labels.size:
        _require_range(int(labels.min()), int(labels.max()), classes)


def _require_range(low: int, high: int, classes: int) -> None:
    if low < 0 or high > classes:
        raise DataError(
            f"labels must lie in 0..{classes} because there are {classes} maps, "
            f"but they span {low}..{high}"
        )


def _require_maps(maps: NDArray[Any] | Tensor) -> None:
    kind = maps.dtype
    floating = (
        kind.is_floating_point
        if isinstance(kind, torch.dtype)
        else np.issubdtype(kind, np.floating)
    )
    _require(bool(floating), "maps must be floating point", kind)
    _require(len(maps) <= 255, "at most 255 classes fit a label volume", len(maps))


def _refuse_nan(maps: NDArray[Any] | Tensor, found: bool) -> None:
    if not found:
        return
    missing = maps.isnan().cpu().numpy() if isinstance(maps, Tensor) else np.isnan(maps)
    plane, *voxel = (int(index) for index in np.argwhere(missing)[0])
    raise DataError(
        f"the maps hold {np.count_nonzero(missing)} NaN, which no threshold can judge, the first "
        f"in the map of class {plane + 1} at voxel {tuple(voxel)}; mend the method that made them"
    )


def _describe(counts: SweepCounts) -> str:
    return f"{len(counts.tp)} classes at {len(counts.thresholds)} thresholds"
