"""Choices that settings offer and several rooms know by name."""

from __future__ import annotations

from enum import StrEnum

from camzoo.core.errors import ConfigError


class SliceChoice(StrEnum):
    """How the plane of slices is chosen.

    ``acquired`` takes the plane in which the scan was acquired: across its thick axis, where it has
    a clear one, and else the axial plane. ``axial`` takes the axial plane always.
    """

    ACQUIRED = "acquired"
    AXIAL = "axial"


class SplitKind(StrEnum):
    """How cases are divided.

    ``patient`` keeps all volumes of a patient together. ``paper-like`` divides volumes and lets a
    patient stand on both sides, as the published ACDC lists do; it exists for comparison only.
    """

    PATIENT = "patient"
    PAPER_LIKE = "paper-like"


def parse_choice(option: str, text: str) -> SliceChoice:
    """Return the choice that a user wrote.

    Raises:
        ConfigError: There is no such choice.
    """
    try:
        return SliceChoice(text)
    except ValueError as error:
        known = " or ".join(SliceChoice)
        raise ConfigError(f"{option} takes {known}, got {text!r}") from error
