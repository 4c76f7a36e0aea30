"""Tables and folded parts as markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from camzoo.report.escaping import escape

#: Columns that fit beside each other on a screen; what is wider becomes several tables.
WIDEST: Final = 8


@dataclass(frozen=True)
class Block:
    """A part of a page that is folded until a reader opens it.

    Attributes:
        title: Words of camzoo's own, which need no escaping; a link leads to them.
        note: Markdown above the tables.
        tables: Finished cells.
    """

    title: str
    note: str
    tables: tuple[pd.DataFrame, ...]

    def __str__(self) -> str:
        """A heading, and the rest behind a line to click on."""
        full = [frame for frame in self.tables if len(frame)]
        lines = sum(map(len, full))
        text = "\n".join([f"{self.note}\n"] * bool(self.note) + [table(frame) for frame in full])
        return f"### {self.title}\n\n{folded(f'{lines} lines', text)}"


def table(frame: pd.DataFrame) -> str:
    """Render a frame of text as a markdown table; whatever a cell holds is shown as it is.

    One with more columns than :data:`WIDEST` becomes several, each with the first column, and with
    the second one where the first only counts lines.
    """
    if len(frame.columns) > WIDEST:
        named = 2 if frame.columns[0] == "rank" else 1
        first, rest = list(range(named)), range(named, len(frame.columns))
        step = WIDEST - named
        parts = [[*first, *rest[k : k + step]] for k in range(0, len(rest), step)]
        return "\n".join(table(frame.iloc[:, part]) for part in parts)
    head = "| " + " | ".join(map(escape, frame.columns)) + " |"
    rule = "|" + "---|" * len(frame.columns)
    body = [
        "| " + " | ".join(map(escape, row)) + " |"
        for row in frame.itertuples(index=False, name=None)
    ]
    return "\n".join([head, rule, *body]) + "\n"


def folded(summary: str, text: str) -> str:
    """Hide markdown until a reader clicks on ``summary``, words that need no escaping."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n</details>\n"


def contents(titles: Sequence[str]) -> str:
    """Links to headings of a page, on one line."""
    return " · ".join(f"[{title}](#{_anchor(title)})" for title in titles) + "\n"


def _anchor(title: str) -> str:
    """What GitHub and its like call the place of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
