"""What is evaluated: cases with their reference, and what each method says of them.

``bench`` finds its cases in a store (:mod:`camzoo.evaluate.prepared_cases`), ``score`` among
anyone's files (:mod:`camzoo.evaluate.cohort`). All that follows is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from camzoo.data.plane import Plane
from camzoo.metrics.case import CaseReference
from camzoo.metrics.subregions import thirds

#: Reads what a method says of a case: maps, floating point [C, z, y, x], or labels, uint8
#: [z, y, x], on the grid of its scan.
Reader = Callable[[], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Case:
    """One volume.

    Attributes:
        id: Its name.
        patient: Patient that the case is of.
        label: The reference, canonical, uint8 [z, y, x]; 0 is background.
        spacing: (z, y, x) in mm.
        affine: Shape [4, 4], from the index (z, y, x, 1) to mm in RAS+.
        plane: Plane in which it is measured slice by slice.
        predicted: Predictions by method; None where a method has nothing for this case.
        image: Reads the scan, grey values from 0 to 1, [z, y, x]; None where it is not at hand.
    """

    id: str
    patient: str
    label: NDArray[np.uint8]
    spacing: tuple[float, ...]
    affine: NDArray[np.floating[Any]]
    plane: Plane
    predicted: Mapping[str, Reader | None]
    image: Reader | None = None

    def references(
        self, organs: tuple[str, ...], with_thirds: Collection[str]
    ) -> dict[str, CaseReference]:
        """Prepare every organ to be compared with.

        Args:
            organs: Names of the classes 1..C.
            with_thirds: Which of them are scored by apex, mid and base, too.

        Raises:
            GeometryError: Slices do not follow each other along the body, and there are thirds.
        """
        found = {}
        for c, organ in enumerate(organs, start=1):
            mask = self.label == c
            found[organ] = CaseReference(
                mask,
                self.spacing,
                regions=thirds(mask, self.affine) if organ in with_thirds else None,
                slicewise=True,
                slice_axis=self.plane.axis,
            )
        return found


class Cases(Protocol):
    """Cases that are read one at a time, as often as they are walked through."""

    @property
    def organs(self) -> tuple[str, ...]:
        """Names of the classes 1..C."""

    @property
    def with_thirds(self) -> Collection[str]:
        """Organs that are scored by apex, mid and base, too."""

    @property
    def methods(self) -> Collection[str]:
        """Names of all methods."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Case]: ...
