"""What scanners do to slices: ways to disturb them of which a map should make little.

Each way is one class and one entry of :data:`DISTURBANCES`. It is given the slices of one case and
a generator, and nothing else: which other cases are looked at changes nothing.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from camzoo.core.ranges import Real, Whole
from camzoo.data.slices import TaggedSlices

Slices = NDArray[np.uint8]
Maps = TypeVar("Maps", bound=NDArray[Any])
#: Largest grey value of a slice.
_WHITE: Final = 255


class Disturbance(ABC):
    """Changes the slices of a case.

    Attributes:
        exchanges_sides: Whether organs come to lie on the other side of the body, so that those
            which are named by their side are no longer what they are called.
    """

    exchanges_sides: ClassVar[bool] = False

    @property
    @abstractmethod
    def meaning(self) -> str:
        """What is done, with its numbers, for people."""

    @abstractmethod
    def apply(self, images: Slices, generator: np.random.Generator) -> Slices:
        """Return disturbed slices.

        Args:
            images: Slices of one case, grey values from 0 to 255, [n, S, S]; to be left as they
                are.
            generator: The only source of random numbers.

        Returns:
            Of the same shape.
        """

    def undo(self, maps: Maps) -> Maps:
        """Bring maps [..., s, s] of disturbed slices back to the places of the slices."""
        return maps


@dataclass(frozen=True)
class Noise(Disturbance):
    """Rician noise, as magnitude images of MR have it (Gudbjartsson and Patz, MRM 1995).

    sqrt((x + a)^2 + b^2) with a and b normal: where there is no signal it makes greys brighter.

    Attributes:
        share: Standard deviation of a and b, as a share of the range of greys.
    """

    share: float = 0.05

    def __post_init__(self) -> None:
        Real(0, 1).require("noise: share", self.share)

    @property
    def meaning(self) -> str:
        """What is done."""
        return f"Rician noise with a standard deviation of {100 * self.share:g} % of the grey range"

    def apply(self, images: Slices, generator: np.random.Generator) -> Slices:
        """Add noise that is drawn for every pixel."""
        sigma = np.float32(self.share * _WHITE)
        real, imaginary = sigma * generator.standard_normal((2, *images.shape), np.float32)
        return _as_grey(np.hypot(images + real, imaginary))


@dataclass(frozen=True)
class BiasField(Disturbance):
    """A smooth field that brightness is multiplied by, as coils leave it: one for a whole case.

    The exponential of a polynomial of third order in both directions of the slice, as TorchIO's
    RandomBiasField (Perez-Garcia et al., CMPB 2021, after Van Leemput et al., IEEE TMI 1999), here
    stretched so that it always has the stated range.

    Attributes:
        ratio: Its largest over its smallest value; it runs from 1 / sqrt(ratio) to sqrt(ratio).
    """

    ratio: float = 2.0
    order: ClassVar[int] = 3

    def __post_init__(self) -> None:
        Real(1, 100).require("bias field: ratio", self.ratio)

    @property
    def meaning(self) -> str:
        """What is done."""
        low, high = self.ratio**-0.5, self.ratio**0.5
        return f"brightness times a smooth field, one per case, from {low:.2f} to {high:.2f}"

    def field(self, side: int, generator: np.random.Generator) -> NDArray[np.float32]:
        """Draw a field, [side, side]."""
        place = np.linspace(-1, 1, side)
        powers = place[None] ** np.arange(self.order + 1)[:, None]
        weights = generator.uniform(-1, 1, (self.order + 1, self.order + 1))
        weights *= np.add.outer(*2 * [np.arange(self.order + 1)]) <= self.order
        shape = powers.T @ weights @ powers
        unit = (shape - shape.min()) / max(np.ptp(shape), np.finfo(float).tiny)
        return np.asarray(self.ratio ** (unit - 0.5), np.float32)

    def apply(self, images: Slices, generator: np.random.Generator) -> Slices:
        """Multiply all slices of the case by one field; what would be too bright is white."""
        return _as_grey(images * self.field(images.shape[-1], generator))


@dataclass(frozen=True)
class Mirror(Disturbance):
    """Exchanges left and right of the slices."""

    exchanges_sides: ClassVar[bool] = True

    @property
    def meaning(self) -> str:
        """What is done."""
        return "left and right exchanged, and exchanged back in the map"

    def apply(self, images: Slices, generator: np.random.Generator) -> Slices:  # noqa: ARG002
        """Turn the columns round."""
        return np.ascontiguousarray(images[..., ::-1])

    def undo(self, maps: Maps) -> Maps:
        """Turn them round again."""
        turned: Maps = maps[..., ::-1]  # type: ignore[assignment]
        return turned


@dataclass(frozen=True)
class Spacing(Disturbance):
    """Fewer, larger pixels within the slice, resampled to the grid as before.

    Attributes:
        factor: How many times as large along both sides.
    """

    factor: int = 2

    def __post_init__(self) -> None:
        Whole(1, 64).require("spacing: factor", self.factor)

    @property
    def meaning(self) -> str:
        """What is done."""
        return f"pixels {self.factor:g} times as large along both sides, then resampled as before"

    def apply(self, images: Slices, generator: np.random.Generator) -> Slices:  # noqa: ARG002
        """Make smaller with antialiasing and larger again, both bilinearly."""
        side = images.shape[-1]
        few = max(1, round(side / self.factor))
        grey = torch.from_numpy(images).float()[:, None]
        for size, smooth in ((few, True), (side, False)):
            grey = F.interpolate(
                grey, (size, size), mode="bilinear", antialias=smooth, align_corners=False
            )
        return _as_grey(grey[:, 0].numpy())


#: All that is tried, by the names that tables have. A new one is one more entry.
DISTURBANCES: Final[Mapping[str, Disturbance]] = {
    "noise": Noise(),
    "bias field": BiasField(),
    "mirror": Mirror(),
    "spacing": Spacing(),
}


def disturb(slices: TaggedSlices, name: str, disturbance: Disturbance, draw: int) -> TaggedSlices:
    """Return slices that are disturbed case by case; what is drawn follows from names and number.

    Args:
        slices: Slices of whole cases or of parts of them; to be left as they are.
        name: Name of the disturbance.
        disturbance: What is done.
        draw: Number of the draw; another one draws other noise and other fields.
    """
    images = slices.images(slice(None)).numpy()
    changed = np.empty_like(images)
    for case, start, stop in slices.cases:
        seed = hashlib.sha256(f"{draw}\n{name}\n{case}".encode()).digest()
        generator = np.random.default_rng(int.from_bytes(seed))
        changed[start:stop] = disturbance.apply(images[start:stop], generator)
    return replace(slices, store=changed, rows=np.arange(len(slices)))


def _as_grey(values: NDArray[np.float32]) -> Slices:
    """Round to grey values, as the slices are stored."""
    return values.round().clip(0, _WHITE).astype(np.uint8)
