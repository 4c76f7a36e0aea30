"""Score heat maps or masks that were made elsewhere: same numbers, same tables, no training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from camzoo.core.choices import parse_choice
from camzoo.core.errors import ConfigError
from camzoo.core.progress import Quiet, Reporter
from camzoo.core.protocol import Protocol
from camzoo.evaluate.choose import Choice, choose
from camzoo.evaluate.cohort import Cohort
from camzoo.evaluate.measure import measure_labels, measure_maps, sweep_maps
from camzoo.evaluate.normalisation import parse_normalisation
from camzoo.evaluate.prediction_files import Spacing
from camzoo.evaluate.rows import PSEUDO_MASK, SEGMENTATION
from camzoo.evaluate.score_options import GIVEN, PROTOCOLS, ScoreOptions
from camzoo.metrics.threshold_rules.frozen import FROZEN


@dataclass(frozen=True, repr=False)
class Scores:
    """What a scoring gives.

    Attributes:
        rows: Result rows (:mod:`camzoo.evaluate.rows`).
        curves: Voxel counts at every threshold (:mod:`camzoo.metrics.curves`); None for masks.
        slices: Plane in which the columns per slice are measured, in words.
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
    images: Path | str | None = None,
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
        images: Folder of the scans, for the protocol ``mask-free`` of maps; it is left out without.
        patients: CSV file with the columns case and patient; otherwise every case is a patient.
        allow_missing: Count cases without a prediction as failures instead of refusing them.
        thirds: Score apex, mid and base too.
        slices: Plane of the columns per slice: "acquired" or "axial".
        normalise: Normalisation of maps, by class over the volume: "none", "max" or "minmax".
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
        images=None if images is None else Path(images),
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
    cohort = Cohort(preds, masks, options or ScoreOptions(), heat_maps=False)
    with (reporter or Quiet()).stage("score") as tick:
        records = measure_labels(cohort, tick)
    rows = cohort.rows(records, stage=SEGMENTATION, protocol=GIVEN)
    return Scores(rows, None, cohort.slices, cohort.notes)


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
    options, reporter = options or ScoreOptions(), reporter or Quiet()
    cohort = Cohort(maps, masks, options, heat_maps=True)
    with reporter.stage("sweep") as tick:
        rule = FROZEN if options.images else None
        curves = sweep_maps(cohort, options.thresholds, tick, rule)
    curves = {
        method: frame.assign(method=method, subset="test") for method, frame in curves.items()
    }
    protocols, notes = _protocols(curves, with_scans=options.images is not None)
    choices = {
        method: choose(frame, protocols, options.fixed, scored=["test"], chooser="test")
        | {
            case: [Choice("test", p.value, None) for p in protocols]
            for case in cohort.missing(method)
        }
        for method, frame in curves.items()
    }
    with reporter.stage("measure") as tick:
        records = measure_maps(cohort, choices, tick)
    rows = cohort.rows(records, stage=PSEUDO_MASK)
    together = pd.concat(curves.values(), ignore_index=True)
    return Scores(rows, together, cohort.slices, (*cohort.notes, *notes))


def _as_spacing(values: Sequence[float]) -> Spacing:
    numbers = [float(value) for value in values]
    if len(numbers) != 3 or not all(0 < number < np.inf for number in numbers):
        raise ConfigError(f"spacing takes (z, y, x) in mm, each above 0, got {tuple(values)}")
    return numbers[0], numbers[1], numbers[2]


def _protocols(
    curves: Mapping[str, pd.DataFrame], *, with_scans: bool
) -> tuple[tuple[Protocol, ...], tuple[str, ...]]:
    """Protocols that these patients allow, and why others are not among them."""
    lacking = {}
    if min(frame["patient"].nunique() for frame in curves.values()) < 2:
        why = "one patient only: no threshold can be cross-validated"
        lacking[Protocol.CROSS_VALIDATED] = why
    if not with_scans:
        lacking[Protocol.MASK_FREE] = "no scans (--images): no threshold can be chosen mask-free"
    return tuple(p for p in PROTOCOLS if p not in lacking), tuple(lacking.values())
