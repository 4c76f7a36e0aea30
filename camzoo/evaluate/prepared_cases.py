"""The cases of a run: references from the store, and maps or labels that methods made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from camzoo.cams.map_files import MapFiles
from camzoo.data.slices import CaseInfo, Prepared, TaggedSlices
from camzoo.evaluate.cases import Case

#: Organs that are also scored by apex, mid and base (PROMISE12).
_WITH_THIRDS: Final = frozenset({"prostate"})


class PreparedCases:
    """Cases of a prepared data set.

    Args:
        prepared: Cases and their masks.
        predicted: For each method, what gives the maps [C, z, y, x] or labels [z, y, x] of a case,
            on the grid of its scan.
        cases: Which, in order; all of the data set, when left out.
    """

    with_thirds = _WITH_THIRDS

    def __init__(
        self,
        prepared: Prepared,
        predicted: Mapping[str, Callable[[CaseInfo], NDArray[Any]]],
        cases: Sequence[str] | None = None,
    ) -> None:
        self._prepared, self._predicted = prepared, predicted
        self._cases = list(prepared.cases if cases is None else cases)
        self.organs = prepared.index.organs
        self.methods = list(predicted)

    def __len__(self) -> int:
        return len(self._cases)

    def __iter__(self) -> Iterator[Case]:
        masks, slices = self._prepared.vault.for_evaluation(), self._prepared.tagged()
        for name in self._cases:
            info = self._prepared.cases[name]
            readers = {method: partial(read, info) for method, read in self._predicted.items()}
            affine = np.array(info.affine)
            yield Case(
                info.id, info.patient, masks.label(name), info.spacing, affine, info.plane, readers,
                partial(_scan, slices, info),
            )  # fmt: skip


def mapped_cases(
    prepared: Prepared, files: Mapping[str, MapFiles], cases: Sequence[str] | None = None
) -> PreparedCases:
    """Cases of a data set, all when left out, with the maps of some methods."""
    readers = {name: partial(_volume, maps) for name, maps in files.items()}
    return PreparedCases(prepared, readers, cases)


def _scan(slices: TaggedSlices, info: CaseInfo) -> NDArray[np.float32]:
    """The slices that the classifier saw, on the grid of the scan, [z, y, x]."""
    grey = slices.grey(info.rows, torch.device("cpu"))
    volume: NDArray[np.float32] = info.on_scan(grey[:, None])[0].numpy()
    return volume


def _volume(maps: MapFiles, info: CaseInfo) -> NDArray[np.float32]:
    volume: NDArray[np.float32] = maps.volume(info).numpy()
    return volume
