"""What pages call data sets, so that one name never stands for two of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from camzoo.report.records import Record


def titles_of(records: Sequence[Record]) -> dict[str, str]:
    """Return what the data set of each run is called among those of the others, by run.

    That is its own name, and behind it the digest of its content where different data call
    themselves the same. Names that differ in capitals alone are one file on some systems.
    """
    known: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for record in records:
        if record.data:
            known[record.dataset.casefold()].add((record.dataset, record.data))
    return {
        record.run: (
            f"{record.dataset}-{record.data}"
            if record.data and len(known[record.dataset.casefold()]) > 1
            else record.dataset
        )
        for record in records
    }
