"""Whether maps are about the image and the trained network: all that is measured of one cell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import torch

from camzoo.cams.map_files import MapFiles
from camzoo.core.environment import use_threads
from camzoo.core.errors import ConfigError, DataError
from camzoo.core.progress import Reporter
from camzoo.core.protocol import Protocol
from camzoo.data.slices import Prepared, TaggedSlices
from camzoo.evaluate.localised import agreement, localise, organ_maps
from camzoo.evaluate.rows import line_name
from camzoo.harness.cells import Cell
from camzoo.harness.plugins import load_plugins
from camzoo.harness.restored import restore_cell
from camzoo.harness.sanity import Asked, Compared, FixedMap, compare_maps
from camzoo.metrics.localisation import SIZES, thirds
from camzoo.report.opened_runs import open_cell
from camzoo.report.viewed_cells import ViewedCell
from camzoo.steps.chain import Chain, is_control, parse_chain

_STEPS: Final = "it has steps behind its method, which are not run again here"
_LEARNS: Final = "it learns from training slices before it makes maps, which is not repeated here"


@dataclass(frozen=True)
class Sanity:
    """What was measured of a fold and seed of a run.

    Attributes:
        run: Name of the run.
        fold: Which patients are tested.
        seed: Of the training.
        draw: Seed of noise, fields and weights.
        cases: Test cases that were looked at.
        slices: Number of their slices that show an organ.
        thresholds: Validated threshold, by line.
        located: A row per line, organ, case and slice (:func:`camzoo.evaluate.localised.localise`),
            with the third of its size.
        pooled: A row per line, organ and case, likewise.
        seeds: Seeds of this fold whose maps are compared; one alone has nothing to be compared to.
        agreed: A row per line, pair of seeds, organ, case and slice: correlation.
        compared: Disturbances and networks drawn anew.
        untried: Why a line was not disturbed, by line.
    """

    run: str
    fold: int
    seed: int
    draw: int
    cases: tuple[str, ...]
    slices: int
    thresholds: Mapping[str, float]
    located: pd.DataFrame
    pooled: pd.DataFrame
    seeds: tuple[int, ...]
    agreed: pd.DataFrame
    compared: Compared
    untried: Mapping[str, str]


def examine(
    run: Path,
    *,
    fold: int | None = None,
    seed: int | None = None,
    cases: int | None = None,
    draw: int = 0,
    weights: Path | None = None,
    device: str = "auto",
    reporter: Reporter,
) -> Sanity:
    """Measure all of a fold and seed of a finished run whose store is still beside it.

    Args:
        run: Its folder.
        fold: Fold of the cell; None for the first that there is.
        seed: Seed of its training; likewise.
        cases: Most test cases, in the order of patients; None for all.
        draw: Seed of noise, fields and weights.
        weights: File of the weights that the classifier started from, where it did from one.
        device: Where to compute.
        reporter: Who is told.

    Raises:
        ConfigError: The folder holds no finished run, its store is gone, or it has no such cell.
        DataError: A file is damaged, or no test case shows an organ.
    """
    viewed, others = open_cell(run, fold, seed)
    prepared = viewed.prepared
    chosen = _cases(viewed, cases)
    slices = prepared.tagged(chosen).positives()
    if not len(slices):
        raise DataError(
            f"none of the {len(chosen)} test cases of fold {viewed.fold} that were looked at shows "
            f"an organ ({', '.join(prepared.index.organs)}); take more with --cases, or another "
            "--fold"
        )
    cell = restore_cell(
        run, viewed.record.manifest, viewed.facts, prepared,
        weights=weights, device=device, reporter=reporter,
    )  # fmt: skip
    thresholds = _thresholds(viewed, chosen[0])
    with use_threads(cell.context.config.threads):
        asked, untried = _methods(cell, viewed, slices)
        located, pooled = _located(viewed, chosen, thresholds, reporter)
        with reporter.stage("maps of other seeds"):
            seeds, agreed = _agreed([viewed, *others], prepared, slices)
        with reporter.stage(f"maps disturbed, and of random weights: {', '.join(asked)}") as tick:
            compared = compare_maps(cell, asked, chosen, draw=draw, tick=tick)
    return Sanity(
        viewed.record.run, viewed.fold, viewed.seed, draw, tuple(chosen), len(slices), thresholds,
        located, pooled, seeds, agreed, compared, untried,
    )  # fmt: skip


def _cases(viewed: ViewedCell, most: int | None) -> list[str]:
    """Test cases in the order of patients."""
    test = viewed.record.manifest["splits"][str(viewed.fold)]["test"]
    infos = viewed.prepared.cases
    return sorted(test, key=lambda case: (infos[case].patient, case))[:most]


def _thresholds(viewed: ViewedCell, case: str) -> dict[str, float]:
    """Validated threshold of each line; a fold and seed has one for all of its cases."""
    name = Protocol.VALIDATED.value
    return {line: each[name] for line, each in viewed.thresholds(case).items() if name in each}


def _methods(
    cell: Cell, viewed: ViewedCell, slices: TaggedSlices
) -> tuple[dict[str, Asked], dict[str, str]]:
    """Methods that can be asked for maps again, and why others cannot, by line."""
    asked: dict[str, Asked] = {}
    untried = dict.fromkeys(viewed.places, _STEPS)
    for text, chain in _chains(cell, untried):
        line = line_name(chain.label, chain.variant)
        if line not in viewed.places:
            continue
        if chain.steps:
            planes = _fixed(viewed.maps[line], slices) if is_control(text) else None
            if planes is not None:
                asked[line] = Asked(FixedMap, {"planes": torch.from_numpy(planes)})
        elif chain.method.needs_fit:
            untried[line] = _LEARNS
        else:
            asked[line] = Asked(chain.method, dict(chain.head.settings))
    return asked, {line: why for line, why in untried.items() if line not in asked}


def _chains(cell: Cell, untried: dict[str, str]) -> Iterator[tuple[str, Chain]]:
    """The methods of the run that are there to be loaded, with their texts; others are noted."""
    for place in cell.context.config.plugins:
        try:
            load_plugins([place])
        except ConfigError as error:
            untried[place] = str(error)
    for text in cell.context.config.methods:
        try:
            chain = parse_chain(text)
        except ConfigError as error:
            untried[text] = str(error)
            continue
        if chain.fault:
            untried[line_name(chain.label, "")] = chain.fault
        else:
            yield text, chain


def _fixed(maps: MapFiles, slices: TaggedSlices) -> np.ndarray | None:
    """The map [C, s, s] that a line has for every slice; None where it is not the same for all."""
    planes = np.zeros(maps.maps.shape[1:], np.float32)
    for organ, tags in enumerate(slices.tags.T):
        mine = maps.maps[slices.rows[tags > 0], organ]
        if len(mine):
            planes[organ] = mine[0]
            if (mine != mine[0]).any():
                return None
    return planes


def _located(
    viewed: ViewedCell,
    cases: Sequence[str],
    thresholds: Mapping[str, float],
    reporter: Reporter,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Where the stored maps of all lines point."""
    located, pooled, maps = [], [], viewed.maps
    with reporter.stage("where maps lie") as tick:
        for number, (line, files) in enumerate(maps.items(), 1):
            threshold = thresholds.get(line, math.nan)
            slices, whole = localise(files, viewed.prepared, cases, threshold)
            located.append(slices.assign(line=line, size=_sizes(slices)))
            pooled.append(whole.assign(line=line))
            tick(number, len(maps))
    return pd.concat(located, ignore_index=True), pd.concat(pooled, ignore_index=True)


def _sizes(slices: pd.DataFrame) -> pd.Series[str]:
    """Third that a slice belongs to by the area of its organ, among all slices with that organ."""
    third = pd.Series(0, slices.index)
    for _, areas in slices.groupby("organ")["area_mm2"]:
        third[areas.index] = thirds(areas.to_numpy())
    return third.map(dict(enumerate(SIZES)))


def _agreed(
    cells: Sequence[ViewedCell], prepared: Prepared, slices: TaggedSlices
) -> tuple[tuple[int, ...], pd.DataFrame]:
    """Compare the stored maps of every line between all pairs of seeds."""
    seeds = {cell.seed: cell.maps for cell in sorted(cells, key=lambda cell: cell.seed)}
    side = next(iter(seeds[cells[0].seed].values())).maps.shape[-1]
    organs = list(organ_maps(prepared, slices, side)) if len(seeds) > 1 else []
    found = [
        agreement(seeds[one][line], seeds[other][line], slices.rows, organs).assign(
            line=line, seeds=f"{one}, {other}"
        )
        for one, other in combinations(seeds, 2)
        for line in seeds[one]
        if line in seeds[other]
    ]
    empty = pd.DataFrame({"line": [], "organ": [], "correlation": []})
    return tuple(seeds), pd.concat(found, ignore_index=True) if found else empty
