"""From maps and labels to numbers: overlap at every threshold, all metrics at chosen ones.

Cases are walked through one by one, so that memory holds one of them, and each reference surface
is built once for all methods and thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from camzoo.core.progress import Tick, silent
from camzoo.evaluate.cases import Case, Cases
from camzoo.evaluate.choose import Choice, Choices
from camzoo.evaluate.result_files import COLUMNS
from camzoo.metrics.case import CaseReference, Record
from camzoo.metrics.curves import curve_records
from camzoo.metrics.sweep import apply_threshold, threshold_sweep


def sweep_maps(
    cases: Cases, thresholds: Sequence[float], tick: Tick = silent
) -> dict[str, pd.DataFrame]:
    """Count the overlap of each case and organ at each threshold, on the grid of the scan.

    Args:
        cases: With maps on [0, 1].
        thresholds: Ascending.
        tick: Told (cases done, cases in all).

    Returns:
        By method: the columns organ, case, patient, threshold, tp, n_pred, n_ref; a row per
        threshold. A case without a map has no rows.
    """
    parts: dict[str, list[pd.DataFrame]] = {method: [] for method in cases.methods}
    for done, case in enumerate(cases):
        for method, read in case.predicted.items():
            if read is not None:
                counts = threshold_sweep(read(), case.label, thresholds)
                key = {"case": case.id, "patient": case.patient}
                parts[method].append(curve_records(counts, cases.organs, **key)[list(COLUMNS)])
        tick(done + 1, len(cases))
    return {method: pd.concat(frames, ignore_index=True) for method, frames in parts.items()}


def measure_maps(
    cases: Cases, choices: Mapping[str, Choices], tick: Tick = silent
) -> dict[str, list[Record]]:
    """Measure maps at the thresholds that were chosen for them.

    Args:
        cases: With maps on [0, 1].
        choices: Choices by method; a case without any is left out.
        tick: Told (cases done, cases in all).

    Returns:
        By method: partial result rows (organ, case, protocol, numbers), without the columns of
        the cell; one per choice, organ and region.
    """
    records: dict[str, list[Record]] = {method: [] for method in cases.methods}
    for done, case in enumerate(cases):
        wanted = {m: choices[m][case.id] for m in case.predicted if case.id in choices[m]}
        if wanted:
            references = case.references(cases.organs, cases.with_thirds)
            for method, chosen in wanted.items():
                records[method] += _measure_choices(case, references, method, chosen)
        tick(done + 1, len(cases))
    return records


def measure_labels(cases: Cases, tick: Tick = silent) -> dict[str, list[Record]]:
    """Measure label volumes.

    Args:
        cases: With labels.
        tick: Told (cases done, cases in all).

    Returns:
        By method: partial result rows (organ, case, numbers), without the columns of the cell; one
        per organ and region.
    """
    records: dict[str, list[Record]] = {method: [] for method in cases.methods}
    for done, case in enumerate(cases):
        references = case.references(cases.organs, cases.with_thirds)
        for method, read in case.predicted.items():
            records[method] += _measure(case, references, None if read is None else read())
        tick(done + 1, len(cases))
    return records


def _measure_choices(
    case: Case,
    references: Mapping[str, CaseReference],
    method: str,
    chosen: Sequence[Choice],
) -> Iterator[Record]:
    """Rows of one method in one case; equal thresholds are measured once."""
    read = case.predicted[method]
    maps = None if read is None else read()
    for threshold in dict.fromkeys(choice.threshold for choice in chosen):
        labels = None if maps is None or threshold is None else apply_threshold(maps, threshold)
        rows = list(_measure(case, references, labels))
        for choice in chosen:
            if choice.threshold == threshold:
                how = {"subset": choice.subset, "protocol": choice.protocol}
                yield from (row | how | {"threshold": threshold} for row in rows)


def _measure(
    case: Case, references: Mapping[str, CaseReference], labels: NDArray[Any] | None
) -> Iterator[Record]:
    """Rows of labels [z, y, x], one per organ and region; without labels, of a missing one."""
    for c, (organ, reference) in enumerate(references.items(), start=1):
        rows = reference.missing() if labels is None else reference.measure(labels == c)
        yield from ({"case": case.id, "patient": case.patient, "organ": organ} | r for r in rows)
