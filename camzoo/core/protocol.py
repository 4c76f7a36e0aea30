"""The ways of choosing a threshold, by name; :mod:`camzoo.metrics.threshold_choice` has them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Protocol(StrEnum):
    """How the threshold of a map was chosen."""

    ORACLE_CASE = "oracle-case"
    ORACLE = "oracle"
    VALIDATED = "validated"
    CROSS_VALIDATED = "cross-validated"
    MASK_FREE = "mask-free"
    FIXED = "fixed"
    OTSU = "otsu"

    @property
    def meaning(self) -> str:
        """What the protocol looks at, as tables print it."""
        return _MEANINGS[self]


_MEANINGS: Final = {
    Protocol.ORACLE_CASE: "best on the masks being scored, for each case by itself",
    Protocol.ORACLE: "best on the masks being scored, one threshold for all (the papers' way)",
    Protocol.VALIDATED: "best on the masks of validation patients",
    Protocol.CROSS_VALIDATED: "best on the masks of the other patients, in 5 folds",
    Protocol.MASK_FREE: "best on validation patients by the rule `contrast`, which sees no masks",
    Protocol.FIXED: "set beforehand, no masks",
    Protocol.OTSU: "Otsu's rule on the values of each case's map, no masks",
}
