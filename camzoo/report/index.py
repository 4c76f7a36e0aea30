"""The index of a folder of leaderboards: a line per data set, and where its page is."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import pandas as pd

from camzoo.report.board import Board
from camzoo.report.contenders import MAPS, VOLUMES
from camzoo.report.escaping import Markdown, escape
from camzoo.report.markdown import table
from camzoo.report.merged import Merged
from camzoo.report.summary import made_by
from camzoo.report.table_cells import spread, winner
from camzoo.report.tables import HEADLINE


def index(pages: Mapping[str, tuple[str, Merged, Mapping[str, Board]]]) -> str:
    """Render the index.

    Args:
        pages: By title the file of each page, its records, and their boards.
    """
    lines = []
    for title, (file, merged, shown) in pages.items():
        lines.append(
            {
                "data set": Markdown(f"[{_label(title)}]({quote(file)})"),
                "test cases": _cases(shown),
                "best map": _best(shown.get(MAPS)),
                "best system": _best(shown.get(VOLUMES)),
                "records": f"{len(merged.records)}",
                "made by": made_by(merged),
            }
        )
    note = (
        f"A page per data set. `best map`: highest mean DSC (%) of test volumes at the protocol "
        f"{HEADLINE.value}, ± over volumes; `best system`: the same of weakly supervised systems "
        "after the U-Net. Bold where it is surely better than every other; what that means stands "
        "on the pages. The rows are under [records](records)."
    )
    return f"# Leaderboards\n\n{note}\n\n{table(pd.DataFrame(lines, dtype=object))}"


def _label(title: str) -> str:
    """A name between the brackets of a link, which it must not close."""
    return escape(title).replace("[", "\\[").replace("]", "\\]")


def _cases(shown: Mapping[str, Board]) -> str:
    cases = {case for board in shown.values() for case in board.rows["case"].unique()}
    return f"{len(cases)}"


def _best(board: Board | None) -> str:
    if board is None or not board.ranked:
        return "none"
    cells, numbers = board.ranked[0]
    text = escape(f"{cells['method']}: {spread(numbers['dsc'], 100)}")
    return Markdown(f"**{text}**") if winner(board.compared) == cells["method"] else text
