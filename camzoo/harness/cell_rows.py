"""The result rows of a cell, from what the store has of its methods and baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from camzoo.config import BenchConfig
from camzoo.evaluate.result_files import read_scores
from camzoo.evaluate.rows import PSEUDO_MASK, SEGMENTATION, line_name
from camzoo.harness.cells import Cell
from camzoo.harness.chains import Mapped
from camzoo.harness.context import Context, Place
from camzoo.harness.identity import Identity
from camzoo.harness.scored import score_cell
from camzoo.harness.segmentation import Segmented, baseline_part, segment_cell
from camzoo.steps.chain import Chain


@dataclass(frozen=True)
class CellRows:
    """What a cell gave.

    Attributes:
        cell: The cell.
        mapped: The maps of its methods.
        segmented: What its baselines gave.
        records: Result rows.
        curves: Counts of every method, case, organ and threshold.
        failures: Why a method or baseline has no rows, by name.
    """

    cell: Cell
    mapped: Mapped
    segmented: Segmented
    records: list[dict[str, Any]]
    curves: pd.DataFrame
    failures: dict[str, str]


def rows_of_cell(cell: Cell, identity: Identity, failed: Mapping[str, str]) -> CellRows:
    """Ask for all results of a cell, and write them as rows.

    Args:
        cell: The cell.
        identity: The run.
        failed: What is known to fail here, as in :attr:`CellRows.failures`: it is not tried again.
    """
    context = cell.context
    scored = score_cell(cell, {t: c for t, c in context.chains.items() if t not in failed})
    mapped = scored.mapped
    constant = _cell_columns(context.config, identity, cell.place)
    columns = {n: _method_columns(context.chains[n], mapped.notes(n)) for n in mapped.artifacts}
    records = [
        constant | columns[name] | record
        for name, artifact in scored.scores.items()
        for record in read_scores(artifact.folder)
    ]
    segmented = segment_cell(
        cell, {t: spec for t, spec in context.baselines.items() if baseline_part(t) not in failed}
    )
    precision = {SEGMENTATION: context.config.segmentation.precision}
    records += [
        constant | {"computed_in": precision.get(record["stage"], constant["computed_in"])} | record
        for record in segmented.records
    ]
    keyed = [frame.assign(**(constant | columns[name])) for name, frame in scored.curves.items()]
    curves = pd.concat(keyed) if keyed else pd.DataFrame()
    lost = {baseline_part(text): why for text, why in segmented.failures.items()}
    failures = {**failed, **mapped.failures, **lost}
    return CellRows(cell, mapped, segmented, records, curves, failures)


def maps_by_line(context: Context, mapped: Mapped) -> dict[str, Path]:
    """Folders of maps under the names that tables call them by."""
    folders = {}
    for text, artifact in mapped.artifacts.items():
        columns = _method_columns(context.chains[text], mapped.notes(text))
        folders[line_name(columns["method"], columns["variant"])] = artifact.folder
    return folders


def _cell_columns(config: BenchConfig, identity: Identity, place: Place) -> dict[str, Any]:
    return {
        "run": identity.run,
        "dataset": identity.dataset,
        "data": identity.short_data,
        "split": config.data.split.value,
        "fold": place.fold,
        "seed": place.seed,
        "backbone": config.backbone.name,
        "computed_in": config.training.precision,
        "stage": PSEUDO_MASK,
    }


def _method_columns(chain: Chain, notes: Sequence[str]) -> dict[str, Any]:
    variant = ", ".join(part for part in (chain.variant, *notes) if part)
    return {"method": chain.label, "variant": variant, "supervision": chain.supervision.value}
