"""What a variant of the phantom has to say about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import numpy as np

from camzoo.data.phantom.canvas import Canvas, Tissue
from camzoo.data.phantom.scanner import Texture

#: Extent along z of what runs through every slice.
THROUGH: Final = (-500.0, 500.0)
#: Sign of x on the patient's right and left.
SIDES: Final = (-1.0, 1.0)


class Anatomy(ABC):
    """One patient, drawn at random.

    Positions are in mm: x to the patient's left, y to the back, z to the head. Structures are drawn
    while they are painted, always in the same order and number, so that equal generators give equal
    patients whatever the phase and the co-occurrence.

    Args:
        rng: Generator of this patient.
        phase: One of ``phases``.
        cooccurrence: How often organs share a slice, 0 to 1; without effect on a single organ.

    Attributes:
        organs: Names of the classes in label order.
        sided: Whether an organ's name depends on the side of the body.
        phases: Volumes per patient; an empty name where there is only one.
        negatives: Usual share of slices without any organ.
        field_of_view: In-plane extent (y, x) in mm.
        centre: Position (y, x) that the middle of the image shows, in mm.
        bend: Strength and reach of the irregular deformation in mm.
        texture: Sizes of the fine structure.
        tissues: Name and typical look of every tissue.
        palette: The look of every tissue in this patient.
        extent: Lowest and highest point of all organs together, in mm.
        slice_mm: Distance of the slices in mm.
    """

    organs: ClassVar[tuple[str, ...]]
    sided: ClassVar[bool] = False
    phases: ClassVar[tuple[str, ...]] = ("",)
    negatives: ClassVar[float]
    field_of_view: ClassVar[tuple[float, float]]
    centre: ClassVar[tuple[float, float]] = (0.0, 0.0)
    bend: ClassVar[tuple[float, float]]
    texture: ClassVar[Texture]
    tissues: ClassVar[Mapping[str, Tissue]]

    extent: tuple[float, float]
    slice_mm: float

    def __init__(self, rng: np.random.Generator, phase: str, cooccurrence: float) -> None:
        self.rng = rng
        self.phase = phase
        self.cooccurrence = cooccurrence
        self.palette = {
            name: tissue._replace(signal=self.around(tissue.signal, 0.08))
            for name, tissue in self.tissues.items()
        }

    @abstractmethod
    def paint(self, canvas: Canvas) -> None:
        """Paint everything, from the skin inwards, the organs last. To be called once."""

    def around(self, mean: float, share: float = 0.1) -> float:
        """Draw from a normal distribution, cut off at two and a half standard deviations.

        Args:
            mean: Mean of the distribution.
            share: Its standard deviation relative to the mean.
        """
        return mean * (1 + share * float(np.clip(self.rng.normal(), -2.5, 2.5)))

    def uneven(self, strength: float, form: Sequence[complex] = ()) -> tuple[complex, ...]:
        """Draw the harmonics 2 to 5 of an irregular outline.

        Args:
            strength: Standard deviation of the second harmonic relative to the radius.
            form: Amplitudes that all patients share, from the second harmonic on.
        """
        orders = np.arange(2, 6)
        angles = 2 * np.pi * self.rng.random(4)
        drawn = self.rng.normal(0, strength, 4) * (2 / orders) * np.exp(1j * angles)
        drawn[: len(form)] += form
        return tuple(complex(amplitude) for amplitude in drawn)
