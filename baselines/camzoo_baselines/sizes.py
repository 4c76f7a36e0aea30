"""Sizes of organs in slices, and the penalty on sizes out of bounds (Kervadec et al., MedIA 2019).

Sizes are in pixels of a 256 x 256 slice whatever the grid, so that one pair of bounds and one
weight of the penalty serve networks of any side.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from camzoo.core.errors import ConfigError

#: Pixels of the slices that bounds are given for.
PIXELS: Final = 256 * 256
#: Bounds shared by all slices that show an organ. Prostate and left ventricle are the paper's. The
#: abdominal ones are priors from anatomy for slices of about 1.2 to 1.5 mm, not from any mask.
COMMON_BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "prostate": (60, 9_000),
    "left ventricle": (60, 2_000),
    "liver": (300, 14_000),
    "right kidney": (60, 2_200),
    "left kidney": (60, 2_200),
    "spleen": (60, 5_000),
}
#: For organs that nothing is known of: there, and not more than a quarter of the slice.
WIDE_BOUNDS: Final = (1.0, PIXELS / 4)


def bounds_of(
    organs: Sequence[str], given: Mapping[str, tuple[float, float]]
) -> tuple[Tensor, Tensor]:
    """Return the lower and the upper bound of each organ, two float32 [C].

    Args:
        organs: Names of the C classes.
        given: Bounds in pixels at 256 x 256 that go before the common ones.

    Warns:
        UserWarning: Nothing is known of an organ: its bounds say next to nothing.

    Raises:
        ConfigError: A pair is not 0 <= lower <= upper, or names an organ that is not there.
    """
    for organ, (lower, upper) in given.items():
        if not 0 <= lower <= upper:
            raise ConfigError(
                f"bounds of the size of {organ!r}: expected 0 <= lower <= upper in pixels at "
                f"256 x 256, got {lower} and {upper}"
            )
        if organ not in organs:
            raise ConfigError(
                f"bounds are given for {organ!r}, but the organs are {', '.join(organs)}"
            )
    known = {**COMMON_BOUNDS, **given}
    unknown = [organ for organ in organs if organ not in known]
    if unknown:
        lowest, highest = WIDE_BOUNDS
        warnings.warn(
            f"no bounds are known of the size of {', '.join(unknown)}; {lowest:.0f} and "
            f"{highest:.0f} pixels at 256 x 256 are taken, which say next to nothing: give the "
            f'baseline bounds={{"{unknown[0]}": [lower, upper]}}',
            UserWarning,
            stacklevel=2,
        )
    lower, upper = torch.tensor([known.get(organ, WIDE_BOUNDS) for organ in organs]).float().T
    return lower, upper


def organ_sizes(probabilities: Tensor) -> Tensor:
    """Sum probabilities [B, C, h, w] over places: sizes [B, C] in pixels at 256 x 256."""
    return probabilities.mean(dim=(2, 3)) * PIXELS


def size_penalty(sizes: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Penalise sizes V below a or above b: (a - V)² or (V - b)², over the pixels of a slice.

    Args:
        sizes: V in pixels at 256 x 256, [B, C].
        lower: a, of a shape that goes with it.
        upper: b, likewise.

    Returns:
        [B, C], zero within the bounds.
    """
    return ((lower - sizes).relu() ** 2 + (sizes - upper).relu() ** 2) / PIXELS
