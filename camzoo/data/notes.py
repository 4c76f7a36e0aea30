"""What is no fault of a file, but must be known to whoever reads the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

#: How many cases a line names.
_SHOWN: Final = 5


@dataclass(frozen=True)
class Note:
    """Something that stands out in one case.

    Attributes:
        what: The same words for every case that it concerns.
        detail: What was seen in this case.
    """

    what: str
    detail: str = ""


def told(noted: Iterable[tuple[str, Note]]) -> list[str]:
    """Return a line for each kind of note, with the cases it concerns, from (case, note) pairs."""
    by_kind: dict[str, list[str]] = {}
    for case, note in noted:
        by_kind.setdefault(note.what, []).append(f"{case} ({note.detail})" if note.detail else case)
    return [f"{what}: {listed(cases)}" for what, cases in by_kind.items()]


def listed(names: Sequence[str], most: int = _SHOWN) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
