"""Which threshold each protocol scores a case with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from camzoo.core.protocol import Protocol
from camzoo.metrics.protocols import apply_protocol

#: The subsets that are reported: where pseudo-masks are used, and patients nobody has seen.
SCORED: Final = ("train", "test")


@dataclass(frozen=True)
class Choice:
    """A threshold for a case, and how it was chosen."""

    subset: str
    protocol: str
    threshold: float


def choose(
    curves: pd.DataFrame, protocols: Sequence[Protocol], fixed: float
) -> dict[str, list[Choice]]:
    """Choose thresholds for every case that is reported.

    Args:
        curves: Of one method of one cell.
        protocols: Which to apply.
        fixed: Threshold of the protocol of that name.

    Returns:
        By case: its thresholds, one per protocol.
    """
    chosen: dict[str, list[Choice]] = {}
    for subset in SCORED:
        for protocol in protocols:
            scored = apply_protocol(curves, protocol, scored=subset, fixed=fixed)
            for case, threshold in zip(scored["case"], scored["threshold"], strict=True):
                choice = Choice(subset, protocol.value, float(threshold))
                if choice not in chosen.setdefault(str(case), []):
                    chosen[str(case)].append(choice)
    return chosen
