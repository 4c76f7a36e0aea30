"""The ways of scaling maps that were made elsewhere, by name."""

from __future__ import annotations

from enum import StrEnum

from camzoo.core.suggest import unknown


class Normalisation(StrEnum):
    """What is done to maps before thresholds between 0 and 1 are put on them."""

    NONE = "none"
    MAX = "max"
    MINMAX = "minmax"


def parse_normalisation(text: str) -> Normalisation:
    """Read a normalisation.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if text not in list(Normalisation):
        raise unknown("normalisation", text, list(Normalisation))
    return Normalisation(text)
