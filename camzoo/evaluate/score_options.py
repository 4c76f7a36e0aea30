"""Settings of a scoring, and the patients of its cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from camzoo.core.choices import SliceChoice
from camzoo.core.errors import ConfigError, DataError
from camzoo.core.protocol import Protocol
from camzoo.core.text import LONGEST, plain, reason
from camzoo.data.disk import require_file
from camzoo.data.notes import listed
from camzoo.evaluate.normalisation import Normalisation
from camzoo.evaluate.prediction_files import Spacing
from camzoo.evaluate.rows import AS_GIVEN

#: Protocol of masks that came as they are.
GIVEN: Final = AS_GIVEN
#: Those that need no validation patients, the most trustworthy first.
PROTOCOLS: Final = (
    Protocol.CROSS_VALIDATED,
    Protocol.MASK_FREE,
    Protocol.OTSU,
    Protocol.FIXED,
    Protocol.ORACLE,
    Protocol.ORACLE_CASE,
)


@dataclass(frozen=True)
class ScoreOptions:
    """Settings of a scoring.

    Attributes:
        spacing: (z, y, x) in mm, for references without a header.
        organs: Names of the classes 1..C; made up from the labels when left out.
        images: Folder of the scans, a file per case: ``mask-free`` needs them.
        patients: CSV file with the columns case and patient; every case is a patient of its own
            when left out.
        allow_missing: Count cases without a prediction as failures instead of refusing them.
        with_thirds: Score apex, mid and base too.
        slices: How the plane of the columns per slice is chosen for each case.
        normalisation: Normalisation of maps, by class over the volume.
        thresholds: Swept on maps.
        fixed: Threshold of the protocol ``fixed``; one of ``thresholds``.

    Raises:
        ConfigError: ``fixed`` is not swept, or two organs share a name.
    """

    spacing: Spacing | None = None
    organs: tuple[str, ...] | None = None
    images: Path | None = None
    patients: Path | None = None
    allow_missing: bool = False
    with_thirds: bool = False
    slices: SliceChoice = SliceChoice.ACQUIRED
    normalisation: Normalisation = Normalisation.NONE
    thresholds: tuple[float, ...] = tuple(round(t / 100, 2) for t in range(1, 100))
    fixed: float = 0.5

    def __post_init__(self) -> None:
        if not any(abs(self.fixed - t) < 1e-9 for t in self.thresholds):
            raise ConfigError(
                f"the fixed threshold {self.fixed} is not among those that are swept, "
                f"{self.thresholds[0]} to {self.thresholds[-1]} in {len(self.thresholds)} steps"
            )
        if self.organs is not None and len(set(self.organs)) < len(self.organs):
            raise ConfigError(f"organs need different names, got {', '.join(self.organs)}")


def read_patients(file: Path | None, cases: Sequence[str]) -> dict[str, str]:
    """Return the patient of every case.

    Args:
        file: CSV with the columns case and patient; without it each case is a patient.
        cases: The cases that need one.

    Raises:
        DataError: The file cannot be read, names a case twice, or does not name one.
    """
    if file is None:
        return {case: case for case in cases}
    require_file(file)
    try:
        table = pd.read_csv(file, dtype=str)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as CSV: {reason(error)}") from error
    if not {"case", "patient"} <= set(table):
        columns = plain(", ".join(map(str, table.columns)), LONGEST)
        raise DataError(f"{file} needs the columns case and patient, it has {columns}")
    table = table.dropna(subset=["case", "patient"])
    twice = table["case"].duplicated()
    if twice.any():
        case = plain(table["case"][twice].iloc[0], LONGEST)
        raise DataError(f"{file}: case {case} stands twice; keep one line")
    patients = dict(zip(table["case"], table["patient"], strict=True))
    absent = sorted(set(cases) - set(patients))
    if absent:
        raise DataError(f"{file} names no patient for {listed(absent)}; add their lines")
    return {case: patients[case] for case in cases}
