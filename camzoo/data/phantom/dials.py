"""The dials of the phantom and the values they may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from camzoo.core.errors import ConfigError

#: Dial -> (least, greatest, what it is), both ends allowed.
_RANGES: Final[dict[str, tuple[float, float, str]]] = {
    "contrast": (0.0, 1.0, "0 hides the organs, 1 shows them clearly"),
    "cooccurrence": (0.0, 1.0, "0 sets the organs apart along z, 1 puts them into the same slices"),
    "jitter": (0.0, 30.0, "standard deviation of the position in mm"),
    "noise": (0.0, 1.0, "noise relative to the mean signal of the organs"),
    "bias": (0.0, 1.0, "standard deviation of the logarithm of the coil shading"),
    "negatives": (0.0, 0.9, "share of slices without any organ"),
}


@dataclass(frozen=True)
class Dials:
    """How hard the phantom is.

    Attributes:
        contrast: Contrast of the organs against their surroundings: 1 clear, 0 invisible.
        cooccurrence: How often organs share a slice; 0.5 is ordinary anatomy.
        jitter: Standard deviation of the patient's position in the image, in mm per axis.
        noise: Standard deviation of the complex noise, relative to the mean signal of the organs.
        bias: Standard deviation of the logarithm of the coil shading.
        negatives: Share of slices without any organ.

    Raises:
        ConfigError: A dial is outside its range.
    """

    contrast: float
    cooccurrence: float
    jitter: float
    noise: float
    bias: float
    negatives: float

    def __post_init__(self) -> None:
        for name, (least, greatest, meaning) in _RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or not least <= value <= greatest:
                raise ConfigError(
                    f"phantom: {name} must lie between {least:g} and {greatest:g} ({meaning}), "
                    f"got {value!r}"
                )
