"""How a threshold is chosen, and what that choice is worth.

All protocols read stored curves, never the maps. A method gets one threshold for all its classes.
The best threshold maximises the mean over classes of the pooled DSC; on a plateau of equal scores
it is the middle of the plateau (see :mod:`camzoo.metrics.curves`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from camzoo.core.errors import ConfigError
from camzoo.core.protocol import Protocol
from camzoo.metrics.curves import Curves, FloatArray
from camzoo.metrics.frames import groups, present

#: Columns that tell one method of one run from another; each gets thresholds of its own.
METHOD_KEYS: Final = (
    "run", "dataset", "split", "fold", "seed", "backbone", "stage", "method", "variant",
    "supervision",
)  # fmt: skip
FOLDS: Final = 5


def choose_threshold(curves: pd.DataFrame) -> float:
    """Return the threshold that is best for all cases of ``curves`` together.

    Args:
        curves: Curves of one method: columns organ, case, patient, subset, threshold, tp, n_pred,
            n_ref. Pass only the cases that may be looked at.

    Raises:
        ConfigError: The table is incomplete, or no case has any organ.
    """
    return _threshold(Curves.of(curves))


def apply_protocol(
    curves: pd.DataFrame,
    protocol: Protocol,
    *,
    scored: str = "test",
    chooser: str = "val",
    fixed: float | None = None,
) -> pd.DataFrame:
    """Score one subset by one protocol.

    Args:
        curves: Long table: columns of :data:`METHOD_KEYS` as far as present, and those of
            :data:`camzoo.metrics.curves.CURVE_COLUMNS`.
        protocol: How to choose.
        scored: The subset that gets scored.
        chooser: The subset that is looked at: with its masks for ``validated``, without them for
            ``mask-free``.
        fixed: The threshold, for ``fixed``; it must be one that was swept.

    Returns:
        A row per method, case and organ: the key columns, case, patient, subset, organ,
        protocol, threshold, tp, n_pred, n_ref, dsc.

    Raises:
        ConfigError: A subset is empty, the curves are incomplete, or the protocol cannot be
            applied to them.
    """
    keys = present(curves, METHOD_KEYS)
    parts = [
        _score(Curves.of(group), protocol, scored, chooser, fixed).assign(**key)
        for key, group in groups(curves, keys)
    ]
    frame = pd.concat(parts, ignore_index=True).assign(protocol=protocol.value)
    return frame[[*keys, *(name for name in frame if name not in keys)]]


def _score(
    cube: Curves, protocol: Protocol, scored: str, chooser: str, fixed: float | None
) -> pd.DataFrame:
    target = cube.subset(scored)
    match protocol:
        case Protocol.ORACLE_CASE:
            return target.at(target.best_per_case())
        case Protocol.OTSU:
            return target.at(_otsu_positions(target))
        case Protocol.CROSS_VALIDATED:
            return target.at(_cross_validated_positions(target))
        case Protocol.ORACLE:
            threshold = _threshold(target)
        case Protocol.VALIDATED:
            threshold = _threshold(cube.subset(chooser))
        case Protocol.MASK_FREE:
            mine = cube.subset(chooser)
            threshold = float(mine.thresholds[mine.most_suitable()])
        case Protocol.FIXED:
            threshold = _require_swept(fixed, cube.thresholds)
    position = int(np.searchsorted(cube.thresholds, threshold))
    return target.at([position] * len(target.cases))


def _threshold(cube: Curves) -> float:
    if not cube.n_ref.any():
        raise ConfigError(
            "no threshold can be chosen: no case of the subset to choose on has any organ"
        )
    return float(cube.thresholds[cube.best()])


def _require_swept(fixed: float | None, thresholds: FloatArray) -> float:
    if fixed is None:
        raise ConfigError("the protocol fixed needs its threshold")
    nearest = float(thresholds[np.abs(thresholds - fixed).argmin()])
    if not np.isclose(nearest, fixed, rtol=0, atol=1e-9):
        raise ConfigError(
            f"the fixed threshold {fixed} was not swept, the nearest one is {nearest:g}; "
            "add it to the thresholds and sweep again"
        )
    return nearest


def _cross_validated_positions(cube: Curves) -> Sequence[int]:
    """Position per case, chosen on the patients of the other folds (dealt in order of name)."""
    names, index = np.unique(cube.cases["patient"].to_numpy(dtype=str), return_inverse=True)
    folds = min(FOLDS, len(names))
    if folds < 2:
        raise ConfigError("cross-validation of a threshold needs at least 2 patients, got 1")
    fold = index % folds
    chosen = [_threshold(cube.take(fold != k)) for k in range(folds)]
    return [int(np.searchsorted(cube.thresholds, chosen[k])) for k in fold]


def _otsu_positions(cube: Curves) -> list[int]:
    """Position per case by Otsu's rule (1979) on the histogram between the swept thresholds.

    The histogram is that of the largest class value of each voxel above the lowest threshold:
    voxels below it are never foreground, and zeros of gated slices would outnumber all others.
    """
    above = cube.n_pred.sum(axis=1)
    counts = above - np.concatenate([above[:, 1:], np.zeros_like(above[:, :1])], axis=1)
    # The last bin has no upper edge; it is taken to be as wide as the one before it.
    edges = np.append(cube.thresholds, 2 * cube.thresholds[-1] - cube.thresholds[-2:][0])
    return [_otsu(row, (edges[:-1] + edges[1:]) / 2) for row in counts]


def _otsu(counts: FloatArray, centres: FloatArray) -> int:
    """Position of the edge below which and above which the values differ most."""
    low, low_sum = np.cumsum(counts) - counts, np.cumsum(counts * centres) - counts * centres
    high, high_sum = counts.sum() - low, (counts * centres).sum() - low_sum
    with np.errstate(invalid="ignore", divide="ignore"):
        between = low * high * (low_sum / low - high_sum / high) ** 2
    return int(np.argmax(np.nan_to_num(between)))
