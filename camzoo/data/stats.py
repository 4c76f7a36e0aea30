"""What a data set holds: sizes, spacings, positive slices, organ volumes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from camzoo.core.choices import SliceChoice
from camzoo.core.progress import Tick, silent
from camzoo.data.datasets.base import Dataset
from camzoo.data.loading import LoadedCase, load_case
from camzoo.data.plane import (
    SliceStack,
    choose_plane,
    describe_slices,
    mixed_planes,
    slice_stack,
)

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
        stack: How its slices lie.
        positive_slices: Per organ, the slices that show it.
        volume_ml: Per organ, its volume in millilitres.
    """

    case: str
    patient: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    tilt: float
    stack: SliceStack
    positive_slices: tuple[int, ...]
    volume_ml: tuple[float, ...]

    @property
    def slices(self) -> int:
        """Number of its slices."""
        return self.shape[self.stack.plane.axis]


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
        choice: How the plane of their slices was chosen.
    """

    organs: tuple[str, ...]
    cases: tuple[CaseStats, ...]
    choice: SliceChoice = SliceChoice.ACQUIRED

    @property
    def patients(self) -> int:
        """Number of patients."""
        return len({case.patient for case in self.cases})

    @property
    def slices(self) -> int:
        """Number of slices of all cases."""
        return sum(case.slices for case in self.cases)

    @property
    def planes(self) -> str:
        """In which plane the slices are cut, in words."""
        return describe_slices([case.stack for case in self.cases], self.choice)

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


def dataset_stats(
    dataset: Dataset, tick: Tick = silent, slices: SliceChoice = SliceChoice.ACQUIRED
) -> DatasetStats:
    """Read every case and describe it.

    Args:
        dataset: Where the cases come from.
        tick: Told (cases done, cases in all).
        slices: How the plane is chosen in which each case is cut.

    Raises:
        DataError: A case cannot be read; ``camzoo data check`` lists all of them.
    """
    cases = dataset.cases()
    found = []
    for done, case in enumerate(cases, start=1):
        found.append(case_stats(load_case(dataset, case), len(dataset.organs), slices))
        tick(done, len(cases))
    return DatasetStats(dataset.organs, tuple(found), slices)


def case_stats(
    loaded: LoadedCase, classes: int, slices: SliceChoice = SliceChoice.ACQUIRED
) -> CaseStats:
    """Describe one case with ``classes`` organs, cut in the plane that ``slices`` chooses."""
    image, label = loaded.image, loaded.label
    directions = image.affine[:3, :3]
    voxel_ml = abs(float(np.linalg.det(directions))) / 1000
    cosines = np.abs(directions / np.linalg.norm(directions, axis=0)).max(axis=0)
    masks = [label.array == c for c in range(1, classes + 1)]
    plane = choose_plane(image.spacing, slices)
    within = plane.order[1:]
    return CaseStats(
        case=image.case,
        patient=image.patient,
        shape=image.shape,
        spacing=image.spacing,
        tilt=float(np.degrees(np.arccos(np.clip(cosines.min(), 0, 1)))),
        stack=slice_stack(image.affine, plane),
        positive_slices=tuple(int(mask.any(axis=within).sum()) for mask in masks),
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
    across = [case.case for case in cases if case.stack.step_mm < 0.99 * max(case.spacing)]
    if across:
        notes.append(
            "slices lie across the plane of acquisition (voxels are longer within a slice than "
            f"from slice to slice): {_some(across)}"
        )
    mixed = mixed_planes({case.case: case.stack for case in cases})
    notes += [mixed] if mixed else []
    empty = [case.case for case in cases if not any(case.positive_slices)]
    if empty:
        notes.append(f"no organ at all in: {_some(empty)}")
    return notes


def _rounded(spacing: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(mm, 3) for mm in spacing)


def _some(cases: Sequence[str], most: int = 5) -> str:
    more = f" and {len(cases) - most} more" if len(cases) > most else ""
    return ", ".join(cases[:most]) + more
