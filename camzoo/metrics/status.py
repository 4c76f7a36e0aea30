"""Why a number is there, is extreme, or is missing."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """State of one comparison of a prediction with its reference.

    With one mask empty, overlap is 0 and distances are undefined (null, never 0 and never dropped:
    tables count them, and count them again at the worst case). With both empty nothing was there to
    find: overlap is 1, distances are 0, and the case is left out of means.
    """

    OK = "ok"
    EMPTY_PRED = "empty-pred"
    EMPTY_REF = "empty-ref"
    EMPTY_BOTH = "empty-both"
    MISSING = "missing-pred"

    @classmethod
    def of(cls, n_pred: int, n_ref: int) -> Status:
        """Return the status of masks with these voxel counts."""
        if n_pred and n_ref:
            return cls.OK
        if n_ref:
            return cls.EMPTY_PRED
        return cls.EMPTY_REF if n_pred else cls.EMPTY_BOTH
