"""One case as the viewer loads it: small pictures, and exact counts at every level of the slider.

Pictures are 8-bit volumes, cropped to the body and thinned to :data:`_SIDE` pixels, compressed and
written in base64, because a page opened from disk may load scripts but no files. The DSC is not
measured on them: it comes from the voxel counts of the full grid, at each level of the slider.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from camzoo.core.text import plain
from camzoo.data.slices import CaseInfo
from camzoo.metrics.sweep import threshold_sweep
from camzoo.report.viewed_cells import ViewedCell

#: Longest side of a picture.
_SIDE: Final = 160
#: Most levels that fit into a byte beside "below all of them".
_MOST_LEVELS: Final = 255
_STEPS: Final = tuple(round(0.01 * k, 2) for k in range(100))
#: Grey value that the body reaches somewhere in each of its rows and columns.
_BODY: Final = 24
#: Steps of grey that a picture keeps: the noise below them would not compress.
_GREYS: Final = 32

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class _Crop:
    """Part of the plane that pictures show, every ``step``-th voxel of it."""

    rows: slice
    columns: slice

    def __call__(self, volume: NDArray[Any]) -> NDArray[Any]:
        return volume[:, self.rows, self.columns]

    @classmethod
    def to_body(cls, image: Bytes, labels: Bytes) -> _Crop:
        shown: NDArray[np.bool_] = np.any((image >= _BODY) | (labels > 0), axis=0, keepdims=True)[0]
        if not shown.any():
            shown = np.ones(image.shape[1:], np.bool_)
        ends = [np.flatnonzero(shown.any(axis=axis))[[0, -1]] for axis in (1, 0)]
        step = int(max(-(-(last - first + 1) // _SIDE) for first, last in ends))
        rows, columns = (slice(int(first), int(last) + 1, step) for first, last in ends)
        return cls(rows, columns)


def case_file(cell: ViewedCell, case: str) -> dict[str, Any]:
    """Everything that the viewer shows of a case in a fold and seed, as JSON has it.

    Returns:
        ``levels``; the size and aspect of pictures; ``image`` and ``labels``; voxels of the
        reference by organ; and per method ``bins`` (how many levels a voxel's largest map exceeds),
        ``winners`` (whose map that is), voxel counts by organ and level, thresholds by protocol.
    """
    info = cell.prepared.cases[case]
    reference = cell.prepared.vault.for_evaluation()
    image, labels = _image(cell, info), reference.slices(case)
    crop = _Crop.to_body(image, labels)
    thresholds = cell.thresholds(case)
    levels = _levels([t for mine in thresholds.values() for t in mine.values()])
    small = crop(labels)
    _, height, width = info.plane.arrange(info.spacing)
    step = 256 // _GREYS
    full = reference.label(case)
    return {
        "levels": levels,
        "shape": list(small.shape),
        "aspect": height / width,
        "image": _packed(crop(image) // step * step),
        "labels": _packed(small),
        "nRef": [int((full == c).sum()) for c in range(1, len(cell.prepared.index.organs) + 1)],
        "methods": [
            {"name": plain(name), "thresholds": thresholds.get(name, {})}
            | _map(maps.volume(info).numpy(), full, info, crop, levels)
            for name, maps in cell.maps.items()
        ],
    }


def _map(
    maps: NDArray[Any],
    labels: NDArray[Any],
    info: CaseInfo,
    crop: _Crop,
    levels: list[float],
) -> dict[str, Any]:
    counts = threshold_sweep(maps, labels, levels)
    best, winner = maps.max(axis=0), maps.argmax(axis=0).astype(np.uint8)
    # As the sweep does: levels in the type of the maps, and a voxel is in a mask above its level.
    bins = np.searchsorted(np.asarray(levels, maps.dtype), crop(info.plane.cut(best)), "left")
    return {
        "bins": _packed(bins.astype(np.uint8)),
        "winners": _packed(crop(info.plane.cut(winner)) + 1) if len(maps) > 1 else None,
        "tp": counts.tp.tolist(),
        "nPred": counts.n_pred.tolist(),
    }


def _levels(chosen: list[float]) -> list[float]:
    """Steps of the slider, with the thresholds that were chosen among them, in float32's order."""
    exact = sorted({round(t, 12) for t in chosen})
    taken = np.asarray(exact, np.float32)
    steps = [t for t in _STEPS if not np.isclose(taken, t, rtol=0, atol=1e-6).any()]
    kept = steps[: max(_MOST_LEVELS - len(exact), 0)]
    return sorted([*kept, *exact])[:_MOST_LEVELS]


def _image(cell: ViewedCell, info: CaseInfo) -> Bytes:
    """The slices as they were prepared, on the grid of the scan."""
    stored = cell.prepared.tagged([info.id]).images(slice(None)).float()
    voxels = info.letterbox.from_grid(stored[:, None])[:, 0]
    image: Bytes = voxels.round().clamp(0, 255).byte().numpy()
    return image


def _packed(volume: NDArray[Any]) -> str:
    """Bytes of a volume as zlib has them, in base64."""
    data = np.ascontiguousarray(volume, np.uint8).tobytes()
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def case_entries(
    cells: Sequence[ViewedCell], most: int
) -> Iterator[tuple[ViewedCell, dict[str, Any]]]:
    """List the cases that the viewer offers, as :meth:`ViewedCell.cases` orders them.

    Args:
        cells: Folds and seeds of a run.
        most: Cases of the run: folds have equal shares, and a case is there in each of its seeds.
    """
    share = -(-most // len({cell.fold for cell in cells}))
    for cell in cells:
        scores, named = cell.scores, cell.standing
        for case in cell.cases(share):
            standing, dsc = named.get(case, ""), float(scores[case])
            told = {"fold": cell.fold, "seed": cell.seed, "standing": standing, "dsc": dsc}
            yield cell, {"case": case} | told
