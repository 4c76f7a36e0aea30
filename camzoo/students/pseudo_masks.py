"""Pseudo-masks of the training cases of a run, as somebody else's network is to learn them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import ConfigError
from camzoo.core.suggest import unknown
from camzoo.data.labels import UNKNOWN
from camzoo.evaluate.result_files import PSEUDO_MASKS
from camzoo.evaluate.rows import PSEUDO_MASK, line_names
from camzoo.harness.workers.labels import drawn_labels
from camzoo.metrics.sweep import apply_threshold
from camzoo.report.viewed_cells import ViewedCell


@dataclass(frozen=True)
class PseudoMasks:
    """Pseudo-masks of the training cases of one fold and seed.

    Attributes:
        source: What made them, in words.
        supervision: What was seen of the training cases for that.
        thresholds: Of each case, where maps were cut; empty where a baseline drew the labels.
        cases: Training cases, in the order of the split.
        labels: From one of them to its labels uint8 [z, y, x] on the grid of the scan: 0
            background, 1..C organs, :data:`~camzoo.data.labels.UNKNOWN` for what is not to be
            learnt.
    """

    source: str
    supervision: str
    thresholds: Mapping[str, float]
    cases: tuple[str, ...]
    labels: Callable[[str], NDArray[np.uint8]]


def of_maps(viewed: ViewedCell, line: str, protocol: str, unsure: float) -> PseudoMasks:
    """Cut the maps of a method as the tables of the run cut them.

    Args:
        viewed: A fold and seed with its store.
        line: Line of the tables, such as ``cam[blend]``.
        protocol: How its threshold was chosen.
        unsure: What a map may miss its threshold by, either way, and be taken for unknown.

    Raises:
        ConfigError: The run has no such line or protocol, or ``unsure`` is negative.
    """
    maps = viewed.maps
    if line not in maps:
        raise unknown("method", line, list(maps))
    if not unsure >= 0:
        raise ConfigError(f"unsure: takes a number from 0 on, got {unsure}")
    cases = _training(viewed)
    chosen = {case: viewed.thresholds(case, "train").get(line, {}) for case in cases}
    there = sorted(set.intersection(*(set(of_case) for of_case in chosen.values())))
    if protocol not in there:
        raise unknown("protocol", protocol, there)
    thresholds = {case: of_case[protocol] for case, of_case in chosen.items()}
    files = maps[line]

    def labels(case: str) -> NDArray[np.uint8]:
        values, threshold = files.volume(viewed.prepared.cases[case]).numpy(), thresholds[case]
        known = abs(values.max(axis=0) - threshold) >= unsure
        return np.where(known, apply_threshold(values, threshold), UNKNOWN).astype(np.uint8)

    source = f"maps of {line}, cut at the {protocol} threshold"
    return PseudoMasks(source, _supervision(viewed, line), thresholds, cases, labels)


def of_baseline(viewed: ViewedCell, folder: Path, name: str) -> PseudoMasks:
    """Take the labels that the U-Net of a baseline was trained on.

    Args:
        viewed: A fold and seed with its store.
        folder: Folder of the run.
        name: Line of the baseline.

    Raises:
        ConfigError: The run has no such baseline, or none of its labels.
    """
    costs = [c for c in viewed.record.costs if (c["fold"], c["seed"]) == (viewed.fold, viewed.seed)]
    places = {
        cost["method"]: (folder.parent / cost["predictions"]).parent
        for cost in costs
        if "predictions" in cost
    }
    drawn = {each: place for each, place in places.items() if (place / PSEUDO_MASKS).is_file()}
    if name in set(places) - set(drawn):
        raise ConfigError(
            f"the store beside {folder} has no pseudo-masks of {name}: it learns without any, or "
            "they are gone and the same bench again makes them"
        )
    if name not in drawn:
        raise unknown("baseline", name, list(drawn))
    cases, prepared = _training(viewed), viewed.prepared
    # What is unknown competes with the classes while labels are enlarged, as a class of its own.
    ignored = len(prepared.index.organs) + 1
    fine = drawn_labels(prepared, cases, drawn[name], unknown=ignored)

    def labels(case: str) -> NDArray[np.uint8]:
        found = fine(prepared.cases[case])
        return np.where(found == ignored, UNKNOWN, found).astype(np.uint8)

    source = f"labels that the baseline {name} drew"
    return PseudoMasks(source, _supervision(viewed, name), {}, cases, labels)


def _training(viewed: ViewedCell) -> tuple[str, ...]:
    return tuple(viewed.record.manifest["splits"][str(viewed.fold)]["train"])


def _supervision(viewed: ViewedCell, line: str) -> str:
    rows = viewed.record.rows
    mine = rows[(rows["stage"] == PSEUDO_MASK) & (line_names(rows) == line)]
    return str(mine["supervision"].iloc[0])
