"""What a baseline is handed, made from the artifacts of its cell. The masks stay in here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camzoo.cams.map_arrays import MapArrays
from camzoo.cams.map_files import MapFiles
from camzoo.core.errors import ConfigError
from camzoo.data.slices import CaseInfo, Prepared, ReferenceMasks, TaggedSlices
from camzoo.evaluate.measure import sweep_maps
from camzoo.evaluate.prepared_cases import PreparedCases
from camzoo.metrics.threshold_choice import choose_threshold
from camzoo.segment.base import Baseline
from camzoo.segment.learning_context import BaselineContext

if TYPE_CHECKING:
    from camzoo.harness.cells import Cell


@dataclass(frozen=True)
class BaselineInputs:
    """What the baselines of a cell may be handed.

    Attributes:
        cell: Fold and seed.
        maps: Folders of finished maps of all slices, by method.
    """

    cell: Cell
    maps: Mapping[str, Path]

    def of(self, baseline: Baseline, folder: Path) -> BaselineContext:
        """Gather what ``baseline`` may see while it learns.

        The classifier is a copy on the device of the run, wherever the shared one is by now.
        """
        cell, context = self.cell, self.cell.context
        train, val = cell.training_slices, cell.prepared.tagged(cell.split.val)
        return BaselineContext(
            config=context.config,
            classifier=copy.deepcopy(cell.trained.classifier).to(context.device),
            train=train,
            val=val,
            patients={
                case: cell.prepared.cases[case].patient
                for slices in (train, val)
                for case, _, _ in slices.cases
            },
            generator=torch.Generator().manual_seed(cell.seed),
            seed=cell.seed,
            device=context.device,
            folder=folder,
            reporter=context.reporter,
            maps=self._maps_of(baseline, train),
            val_maps=self._maps_of(baseline, val),
            threshold=lambda maps: self.threshold(maps, val),
            masks=lambda: self._masks(baseline),
        )

    def threshold(self, maps: Tensor | NDArray[np.floating[Any]], val: TaggedSlices) -> float:
        """Choose the threshold that is best for ``maps`` of the validation patients.

        Args:
            maps: [n, C, s, s], rows as in ``val``.
            val: n slices of C organs.

        Raises:
            ConfigError: There is not a square map per validation slice and organ.
        """
        maps = torch.as_tensor(maps).float()
        leading, shape = (len(val), len(val.organs)), tuple(maps.shape)
        if len(shape) != 4 or shape[:2] != leading or shape[2] != shape[3]:
            raise ConfigError(
                f"threshold() takes the maps of all {len(val)} validation slices, "
                f"[{leading[0]}, {leading[1]}, s, s]; got {list(shape)}"
            )
        thresholds = self.cell.context.config.evaluation.thresholds
        return best_threshold(self.cell.prepared, val, maps, thresholds)

    def _maps_of(self, baseline: Baseline, slices: TaggedSlices) -> Callable[[str], MapArrays]:
        def maps(method: str) -> MapArrays:
            if method not in baseline.reads:
                raise ConfigError(
                    f"{baseline.name} asked for maps of {method!r}, which are not among its "
                    f"reads ({', '.join(baseline.reads) or 'none'}); add them there"
                )
            files = MapFiles.open(self.maps[method])
            rows = slices.rows  # the maps lie in the order of the store
            return MapArrays(files.maps[rows], files.status[rows], files.peak[rows])

        return maps

    def _masks(self, baseline: Baseline) -> ReferenceMasks:
        return self.cell.prepared.vault.for_training(
            baseline.supervision, self.cell.split.train, who=f"the baseline {baseline.name!r}"
        )


def best_threshold(
    prepared: Prepared, slices: TaggedSlices, maps: Tensor, thresholds: Sequence[float]
) -> float:
    """Return the threshold at which the pooled DSC of volumes is largest, on the scan's grid.

    Args:
        prepared: Cases and their masks.
        slices: Whole cases.
        maps: float [n, C, s, s], rows as in ``slices``.
        thresholds: Thresholds to choose from.
    """
    spans = {case: slice(start, stop) for case, start, stop in slices.cases}

    def on_scan(info: CaseInfo) -> NDArray[np.float32]:
        volume: NDArray[np.float32] = info.on_scan(maps[spans[info.id]].cpu()).numpy()
        return volume

    curves = sweep_maps(PreparedCases(prepared, {"maps": on_scan}, list(spans)), thresholds)
    return choose_threshold(curves["maps"].assign(subset="val"))
