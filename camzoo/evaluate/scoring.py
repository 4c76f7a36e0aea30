"""Score heat maps or masks that were made elsewhere: same numbers, same tables, no training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camzoo.core.choices import parse_choice
from camzoo.core.errors import ConfigError
from camzoo.core.progress import Quiet, Reporter
from camzoo.core.protocol import Protocol
from camzoo.evaluate.cohort import Cohort, key_of
from camzoo.evaluate.normalisation import parse_normalisation
from camzoo.evaluate.prediction_files import Reference, Spacing
from camzoo.evaluate.score_options import GIVEN, PROTOCOLS, ScoreOptions
from camzoo.metrics.case import CaseReference, Record
from camzoo.metrics.curves import curve_records
from camzoo.metrics.protocols import apply_protocol
from camzoo.metrics.sweep import apply_threshold, threshold_sweep

Files = Mapping[str, Path | None]
#: Threshold by method and case.
Thresholds = Mapping[tuple[str, str], float]


@dataclass(frozen=True, repr=False)
class Scores:
    """What a scoring gives.

    Attributes:
        rows: Result rows (:mod:`camzoo.evaluate.rows`).
        curves: Voxel counts at every threshold (:mod:`camzoo.metrics.curves`); None for masks.
        slices: In which plane the columns per slice are measured, in words.
        notes: What a reader must know.
    """

    rows: pd.DataFrame
    curves: pd.DataFrame | None
    slices: str
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Say how much was scored, and what a reader must know."""
        methods = ", ".join(map(str, self.rows["method"].unique()))
        counts = f"{len(self.rows)} rows, {self.rows['case'].nunique()} cases: {methods}"
        return "\n".join([f"Scores: {counts}", *(f"  note: {note}" for note in self.notes)])


def score(
    *,
    masks: Path | str,
    maps: Path | str | None = None,
    preds: Path | str | None = None,
    spacing: Sequence[float] | None = None,
    organs: Sequence[str] | None = None,
    patients: Path | str | None = None,
    allow_missing: bool = False,
    thirds: bool = False,
    slices: str = "acquired",
    normalise: str = "none",
    fixed: float = 0.5,
    reporter: Reporter | None = None,
) -> Scores:
    """Score heat maps or masks that were made elsewhere against references, all from files.

    Args:
        masks: Folder of references: a label file per case, 0 is background.
        maps: Folder of heat maps [C, z, y, x], or of one folder per method.
        preds: Folder of predicted labels, or of one folder per method; either this or ``maps``.
        spacing: (z, y, x) in mm, for references without a header.
        organs: Names of the classes 1..C; made up from the labels when left out.
        patients: CSV file with the columns case and patient; otherwise every case is a patient.
        allow_missing: Count cases without a prediction as failures instead of refusing them.
        thirds: Score apex, mid and base too.
        slices: Plane of the columns per slice: "acquired" or "axial".
        normalise: Of maps, by class over the volume: "none", "max" or "minmax".
        fixed: Threshold of the protocol ``fixed``.
        reporter: Who is told how far it is.

    Raises:
        CamzooError: Neither or both of ``maps`` and ``preds`` are given; files do not pair up, lie
            on other grids, or hold other things than maps or labels.

    Example:
        >>> camzoo.score(maps="maps", masks="labels").rows  # doctest: +SKIP
    """
    given = [path for path in (maps, preds) if path is not None]
    if len(given) != 1:
        raise ConfigError("give either maps (heat maps) or preds (masks), exactly one of them")
    options = ScoreOptions(
        spacing=None if spacing is None else _as_spacing(spacing),
        organs=None if organs is None else tuple(organs),
        patients=None if patients is None else Path(patients),
        allow_missing=allow_missing,
        with_thirds=thirds,
        slices=parse_choice("slices", slices),
        normalisation=parse_normalisation(normalise),
        fixed=fixed,
    )
    run = score_masks if maps is None else score_maps
    return run(Path(given[0]), Path(masks), options, reporter)


def score_masks(
    preds: Path,
    masks: Path,
    options: ScoreOptions | None = None,
    reporter: Reporter | None = None,
) -> Scores:
    """Score predicted label volumes.

    Args:
        preds: Folder of one method, or of one folder per method.
        masks: Folder of reference labels.
        options: Settings.
        reporter: Who is told how far it is.

    Raises:
        CamzooError: Files do not pair up, lie on other grids, or hold other things than labels.
    """
    cohort = Cohort(preds, masks, options or ScoreOptions())
    records: list[Record] = []
    with (reporter or Quiet()).stage("score") as tick:
        for done, (reference, files) in enumerate(cohort):
            records += _mask_rows(cohort, reference, files)
            tick(done + 1, len(cohort))
    return Scores(cohort.rows(records, stage="segmentation"), None, cohort.slices, cohort.notes)


def score_maps(
    maps: Path,
    masks: Path,
    options: ScoreOptions | None = None,
    reporter: Reporter | None = None,
) -> Scores:
    """Score heat maps by every protocol that needs no validation patients.

    Maps are read twice: once for the curves that thresholds are chosen from, once to measure
    surfaces at the chosen thresholds. Memory holds one case at a time.

    Args:
        maps: Folder of one method, or of one folder per method.
        masks: Folder of reference labels.
        options: Settings.
        reporter: Who is told how far it is.

    Raises:
        CamzooError: Files do not pair up, lie on other grids, or hold NaN or values that the
            normalisation does not bring between 0 and 1.
    """
    cohort = Cohort(maps, masks, options or ScoreOptions())
    reporter = reporter or Quiet()
    parts: list[pd.DataFrame] = []
    with reporter.stage("sweep") as tick:
        for done, (reference, files) in enumerate(cohort):
            parts += _case_curves(cohort, reference, files)
            tick(done + 1, len(cohort))
    curves = pd.concat(parts, ignore_index=True)
    chosen, notes = _choose(curves, cohort.options.fixed)
    records: list[Record] = []
    with reporter.stage("measure") as tick:
        for done, (reference, files) in enumerate(cohort):
            records += _map_rows(cohort, reference, files, chosen)
            tick(done + 1, len(cohort))
    rows = cohort.rows(records, stage="pseudo-mask")
    return Scores(rows, curves, cohort.slices, (*cohort.notes, *notes))


def _as_spacing(values: Sequence[float]) -> Spacing:
    numbers = [float(value) for value in values]
    if len(numbers) != 3 or not all(0 < number < np.inf for number in numbers):
        raise ConfigError(f"spacing takes (z, y, x) in mm, each above 0, got {tuple(values)}")
    return numbers[0], numbers[1], numbers[2]


def _mask_rows(cohort: Cohort, reference: Reference, files: Files) -> Iterator[Record]:
    """Rows of all methods in one case."""
    surfaces = cohort.surfaces(reference)
    for method, path in files.items():
        key = key_of(reference, method=method, protocol=GIVEN)
        labels = None if path is None else cohort.labels(path, reference)
        yield from _measure(surfaces, labels, key)


def _map_rows(
    cohort: Cohort, reference: Reference, files: Files, chosen: Mapping[Protocol, Thresholds]
) -> Iterator[Record]:
    """Rows of all methods and protocols in one case; equal thresholds are measured once."""
    surfaces = cohort.surfaces(reference)
    for method, path in files.items():
        key = key_of(reference, method=method)
        if path is None:
            lacking = list(_measure(surfaces, None, key))
            yield from (row | {"protocol": p.value} for p in chosen for row in lacking)
            continue
        maps = cohort.maps(path, reference)
        wanted = {p: thresholds[method, key["case"]] for p, thresholds in chosen.items()}
        for threshold in sorted(set(wanted.values())):
            rows = list(_measure(surfaces, apply_threshold(maps, threshold), key))
            same = {"threshold": threshold}
            for protocol in (p for p, t in wanted.items() if t == threshold):
                yield from (row | same | {"protocol": protocol.value} for row in rows)


def _case_curves(cohort: Cohort, reference: Reference, files: Files) -> Iterator[pd.DataFrame]:
    """Curves of all methods in one case; a missing map gives none."""
    for method, path in files.items():
        if path is not None:
            maps = cohort.maps(path, reference)
            counts = threshold_sweep(maps, reference.label.array, cohort.options.thresholds)
            key = key_of(reference, method=method, subset="test")
            yield curve_records(counts, cohort.organs, **key)


def _measure(
    surfaces: Mapping[str, CaseReference], labels: NDArray[np.uint8] | None, key: Mapping[str, Any]
) -> Iterator[Record]:
    """Rows of all organs and regions; without labels, those of a missing prediction."""
    for c, (organ, surface) in enumerate(surfaces.items(), start=1):
        rows = surface.missing() if labels is None else surface.measure(labels == c)
        yield from ({**key, **row, "organ": organ} for row in rows)


def _choose(
    curves: pd.DataFrame, fixed: float
) -> tuple[dict[Protocol, Thresholds], tuple[str, ...]]:
    """Thresholds of every protocol that these patients allow, and why others are not among them."""
    protocols, notes = list(PROTOCOLS), []
    if curves.groupby("method")["patient"].nunique().min() < 2:
        protocols.remove(Protocol.CROSS_VALIDATED)
        notes.append("one patient only: no threshold can be cross-validated")
    chosen: dict[Protocol, Thresholds] = {}
    for protocol in protocols:
        rows = apply_protocol(curves, protocol, fixed=fixed)
        names = zip(rows["method"], rows["case"], strict=True)
        chosen[protocol] = dict(zip(names, rows["threshold"].astype(float), strict=True))
    return chosen, tuple(notes)
