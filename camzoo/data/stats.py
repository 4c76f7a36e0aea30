"""What a data set holds: sizes, spacings, positive slices, organ volumes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from camzoo.data.datasets.base import Dataset
from camzoo.data.loading import LoadedCase, load_case
from camzoo.progress import Tick, silent

#: With fewer patients than this, equal headers are no surprise.
_ENOUGH_PATIENTS: Final = 5


@dataclass(frozen=True)
class CaseStats:
    """Facts of one case.

    Attributes:
        case: Case id.
        patient: Patient id.
        shape: Voxels along (z, y, x).
        spacing: mm along (z, y, x).
        tilt: Largest angle in degrees between an axis and the body axis it stands for.
        positive_slices: Per organ, the slices that show it.
        volume_ml: Per organ, its volume in millilitres.
    """

    case: str
    patient: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    tilt: float
    positive_slices: tuple[int, ...]
    volume_ml: tuple[float, ...]


@dataclass(frozen=True)
class OrganStats:
    """Facts of one organ over all cases, those without it included.

    Attributes:
        organ: Its name.
        positive_slices: Slices that show it.
        median_ml: Median volume of a case.
        low_ml: Smallest volume.
        high_ml: Largest volume.
    """

    organ: str
    positive_slices: int
    median_ml: float
    low_ml: float
    high_ml: float


@dataclass(frozen=True)
class DatasetStats:
    """Facts of all cases.

    Attributes:
        organs: Names of the classes.
        cases: One entry per case, in the order of the data set.
    """

    organs: tuple[str, ...]
    cases: tuple[CaseStats, ...]

    @property
    def patients(self) -> int:
        """Number of patients."""
        return len({case.patient for case in self.cases})

    @property
    def slices(self) -> int:
        """Number of slices of all cases."""
        return sum(case.shape[0] for case in self.cases)

    def by_organ(self) -> list[OrganStats]:
        """One entry per organ, in label order."""
        positive = np.array([case.positive_slices for case in self.cases]).sum(axis=0)
        volumes = np.array([case.volume_ml for case in self.cases])
        return [
            OrganStats(
                organ,
                int(positive[i]),
                float(np.median(volumes[:, i])),
                float(volumes[:, i].min()),
                float(volumes[:, i].max()),
            )
            for i, organ in enumerate(self.organs)
        ]

    def shapes(self) -> Counter[tuple[int, int, int]]:
        """Grid sizes (z, y, x) and how many cases have them."""
        return Counter(case.shape for case in self.cases)

    def spacings(self) -> Counter[tuple[float, ...]]:
        """Spacings (z, y, x) in mm, rounded to 0.001, and how many cases have them."""
        return Counter(_rounded(case.spacing) for case in self.cases)


def dataset_stats(dataset: Dataset, tick: Tick = silent) -> DatasetStats:
    """Read every case and describe it.

    Raises:
        DataError: A case cannot be read; ``camzoo data check`` lists all of them.
    """
    cases = dataset.cases()
    found = []
    for done, case in enumerate(cases, start=1):
        found.append(case_stats(load_case(dataset, case), len(dataset.organs)))
        tick(done, len(cases))
    return DatasetStats(dataset.organs, tuple(found))


def case_stats(loaded: LoadedCase, classes: int) -> CaseStats:
    """Describe one case with ``classes`` organs."""
    image, label = loaded.image, loaded.label
    directions = image.affine[:3, :3]
    voxel_ml = abs(float(np.linalg.det(directions))) / 1000
    cosines = np.abs(directions / np.linalg.norm(directions, axis=0)).max(axis=0)
    masks = [label.array == c for c in range(1, classes + 1)]
    return CaseStats(
        case=image.case,
        patient=image.patient,
        shape=image.shape,
        spacing=image.spacing,
        tilt=float(np.degrees(np.arccos(np.clip(cosines.min(), 0, 1)))),
        positive_slices=tuple(int(mask.any(axis=(1, 2)).sum()) for mask in masks),
        volume_ml=tuple(int(mask.sum()) * voxel_ml for mask in masks),
    )


def remarks(cases: Sequence[CaseStats]) -> list[str]:
    """Say what a reader of distances, sides and regions should know about these very files."""
    patients = len({case.patient for case in cases})
    notes = []
    spacings = {_rounded(case.spacing) for case in cases}
    if patients >= _ENOUGH_PATIENTS and len(spacings) == 1:
        size = " x ".join(f"{mm:g}" for mm in next(iter(spacings)))
        notes.append(
            f"all {patients} patients have exactly the same spacing, {size} mm (z, y, x): it may "
            "be nominal, and every distance with it"
        )
    if patients >= _ENOUGH_PATIENTS and max(case.tilt for case in cases) < 1e-3:
        notes.append(
            f"the axes of all {patients} patients are exactly those of the body: the orientation "
            "may be nominal, and with it left and right, apex and base"
        )
    across = [case.case for case in cases if case.spacing[0] < 0.99 * max(case.spacing[1:])]
    if across:
        notes.append(
            f"slices lie across the plane of acquisition (finer along z than within the slice): "
            f"{_some(across)}"
        )
    empty = [case.case for case in cases if not any(case.positive_slices)]
    if empty:
        notes.append(f"no organ at all in: {_some(empty)}")
    return notes


def _rounded(spacing: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(mm, 3) for mm in spacing)


def _some(cases: Sequence[str], most: int = 5) -> str:
    more = f" and {len(cases) - most} more" if len(cases) > most else ""
    return ", ".join(cases[:most]) + more
