"""Which threshold each protocol scores a case with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from camzoo.core.protocol import Protocol
from camzoo.metrics.threshold_choice import apply_protocol

#: The subsets that a run reports: where pseudo-masks are used, and patients nobody has seen.
SCORED: Final = ("train", "test")


@dataclass(frozen=True)
class Choice:
    """A threshold for a case, and how it was chosen; None where there is no map to cut."""

    subset: str
    protocol: str
    threshold: float | None


#: The thresholds of a method by case; a case that is not reported has none.
Choices = Mapping[str, Sequence[Choice]]


def choose(
    curves: pd.DataFrame,
    protocols: Iterable[Protocol],
    fixed: float,
    scored: Sequence[str] = SCORED,
    chooser: str = "val",
) -> dict[str, list[Choice]]:
    """Choose thresholds for every case that is reported.

    Args:
        curves: The counts of one method of one cell, with the subset of each case.
        protocols: Which to apply.
        fixed: Threshold of the protocol of that name.
        scored: Subsets that are reported.
        chooser: Subset whose masks ``validated`` looks at, and whose scans ``mask-free`` does.

    Returns:
        By case: its thresholds, one per protocol.
    """
    chosen: dict[str, list[Choice]] = {}
    for subset in scored:
        for protocol in protocols:
            found = apply_protocol(curves, protocol, scored=subset, chooser=chooser, fixed=fixed)
            for case, threshold in zip(found["case"], found["threshold"], strict=True):
                choice = Choice(subset, protocol.value, float(threshold))
                if choice not in chosen.setdefault(str(case), []):
                    chosen[str(case)].append(choice)
    return chosen
