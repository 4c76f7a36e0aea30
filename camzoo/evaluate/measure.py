"""From maps and labels to numbers: overlap at every threshold, all metrics at chosen ones.

Cases are worked on by all cores, of which each holds one case in memory, and each reference
surface is built once for all methods and thresholds. What comes out does not depend on how many
cores there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camzoo.core.parallel import in_order
from camzoo.core.progress import Tick, silent
from camzoo.data.plane import Plane
from camzoo.evaluate.cases import Case, Cases
from camzoo.evaluate.choose import Choice, Choices
from camzoo.evaluate.mask_evidence import evidence_of
from camzoo.evaluate.result_files import COLUMNS
from camzoo.metrics.case import CaseReference, Record
from camzoo.metrics.curves import SUITABILITY, curve_records
from camzoo.metrics.sweep import apply_threshold, threshold_sweep
from camzoo.metrics.threshold_rules.base import ThresholdRule, suitability

#: Partial result rows by method.
Records = dict[str, list[Record]]


def sweep_maps(
    cases: Cases,
    thresholds: Sequence[float],
    tick: Tick = silent,
    rule: ThresholdRule | None = None,
) -> dict[str, pd.DataFrame]:
    """Count the overlap of each case and organ at each threshold, on the grid of the scan.

    Args:
        cases: With maps on [0, 1].
        thresholds: Ascending.
        tick: Told (cases done, cases in all).
        rule: Says how suitable each threshold is by what its mask looks like on the scan, for cases
            whose scan is at hand; nobody looks without.

    Returns:
        By method: the columns organ, case, patient, threshold, tp, n_pred, n_ref, and suitability
        where there is a rule; a row per threshold. A case without a map has no rows.
    """
    parts: dict[str, list[pd.DataFrame]] = {method: [] for method in cases.methods}
    columns = [*COLUMNS, *([SUITABILITY] if rule else [])]

    def sweep(case: Case) -> dict[str, pd.DataFrame]:
        key, found = {"case": case.id, "patient": case.patient}, {}
        image = case.image() if rule and case.image else None
        for method, read in case.predicted.items():
            if read is not None:
                maps = read()
                counts = threshold_sweep(maps, case.label, thresholds)
                suits = _suits(rule, maps, image, case.plane, thresholds)
                records = curve_records(counts, cases.organs, suits, **key)
                found[method] = records.reindex(columns=columns)
        return found

    for done, curves in enumerate(in_order(sweep, cases), start=1):
        for method, frame in curves.items():
            parts[method].append(frame)
        tick(done, len(cases))
    return {method: pd.concat(frames, ignore_index=True) for method, frames in parts.items()}


def _suits(
    rule: ThresholdRule | None,
    maps: NDArray[Any],
    image: NDArray[Any] | None,
    plane: Plane,
    thresholds: Sequence[float],
) -> NDArray[np.float64] | None:
    if rule is None or image is None:
        return None
    return suitability(rule, evidence_of(maps, image, plane, thresholds))


def measure_maps(cases: Cases, choices: Mapping[str, Choices], tick: Tick = silent) -> Records:
    """Measure maps at the thresholds that were chosen for them.

    Args:
        cases: With maps on [0, 1].
        choices: Choices by method; a case without any is left out.
        tick: Told (cases done, cases in all).

    Returns:
        By method: partial result rows (organ, case, protocol, numbers), without the columns of
        the cell; one per choice, organ and region.
    """

    def measure(case: Case) -> Records:
        wanted = {m: choices[m][case.id] for m in case.predicted if case.id in choices[m]}
        if not wanted:
            return {}
        references = case.references(cases.organs, cases.with_thirds)
        return {
            method: list(_measure_choices(case, references, method, chosen))
            for method, chosen in wanted.items()
        }

    return _all_records(cases, measure, tick)


def measure_labels(cases: Cases, tick: Tick = silent) -> Records:
    """Measure label volumes.

    Args:
        cases: With labels.
        tick: Told (cases done, cases in all).

    Returns:
        By method: partial result rows (organ, case, numbers), without the columns of the cell; one
        per organ and region.
    """

    def measure(case: Case) -> Records:
        references = case.references(cases.organs, cases.with_thirds)
        return {
            method: list(_measure(case, references, None if read is None else read()))
            for method, read in case.predicted.items()
        }

    return _all_records(cases, measure, tick)


def _all_records(cases: Cases, measure: Callable[[Case], Records], tick: Tick) -> Records:
    """Rows of all cases, in their order."""
    records: Records = {method: [] for method in cases.methods}
    for done, found in enumerate(in_order(measure, cases), start=1):
        for method, rows in found.items():
            records[method] += rows
        tick(done, len(cases))
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
