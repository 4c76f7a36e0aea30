"""The main table of a page: every line once, in the order that can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pandas as pd

from camzoo.core.errors import ConfigError
from camzoo.evaluate.rows import line_name
from camzoo.metrics.frames import groups
from camzoo.registries import baselines
from camzoo.report.common_cells import CELL, Common, in_words
from camzoo.report.contenders import common_of, of_protocol, rivals, scored
from camzoo.report.equivalents import EQUALS
from camzoo.report.escaping import Markdown
from camzoo.report.merged import Merged
from camzoo.report.table_cells import (
    LINE,
    SHOWN,
    Summaries,
    certain_order,
    certainty,
    compare,
    coverage,
    interval,
    measured,
    ranked,
    summaries,
    title,
    winner,
)
from camzoo.steps import chain

#: In the place of a p, of a line without the cases that the others are compared on.
ELSEWHERE: Final = "other cases"


@dataclass(frozen=True)
class Board:
    """Lines of one kind.

    Attributes:
        what: Maps, or volumes that baselines segmented (:mod:`camzoo.report.contenders`).
        every: Whole organs of test cases, at every protocol, of all folds and seeds.
        common: What lines are compared on.
    """

    what: str
    every: pd.DataFrame
    common: Common

    @cached_property
    def headline(self) -> pd.DataFrame:
        """Rows of the headline, of all folds and seeds."""
        return of_protocol(self.every)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Those of the common cells alone, of lines that are compared."""
        return self.common.even(self.headline)

    @cached_property
    def compared(self) -> pd.DataFrame | None:
        """Rivals against the best of them; None without two."""
        mine = rivals(self.rows)
        return compare(mine[self.common.has(mine)]) if len(mine) else None

    @cached_property
    def lines(self) -> list[tuple[dict[str, Any], Summaries]]:
        """Cells that name each line, and its numbers: those that are compared first, best first."""
        there = names_of(self.common.lines)
        found = summaries(self.rows, SHOWN, sure="dsc")
        return sorted(
            found,
            key=lambda line: (
                line[0]["method"] not in there, -line[1]["dsc"]["mean"], line[0]["method"],
            ),
        )  # fmt: skip

    @cached_property
    def ranked(self) -> list[tuple[dict[str, Any], Summaries]]:
        """Those of :attr:`lines` that may be ranked, best first."""
        mine = names_of(rivals(self.rows)) & names_of(self.common.lines)
        return [line for line in self.lines if line[0]["method"] in mine]


def names_of(rows: pd.DataFrame) -> set[str]:
    """What tables call the lines of some rows."""
    lines = rows[list(LINE)].drop_duplicates().itertuples(index=False, name=None)
    return {line_name(method, variant) for method, variant, _ in lines}


def boards(merged: Merged) -> dict[str, Board]:
    """Return the boards of what there are test cases of."""
    found = {what: Board(what, rows, common_of(rows)) for what, rows in scored(merged).items()}
    return {what: board for what, board in found.items() if len(board.rows)}


def board_table(board: Board) -> pd.DataFrame:
    """DSC, ASD and MAD of the test volumes, a line each; the best is bold where it surely is."""
    order = {} if board.compared is None else certain_order(board.compared)
    there = {line["method"] for line, _ in board.ranked}
    best, may = winner(board.compared), names_of(rivals(board.rows))
    lines = []
    for line, numbers in board.lines:
        name = line["method"]
        p = order.get(name, {}).get("p (Holm)", "")
        elsewhere = name in may and name not in there
        cells = _cells(line, numbers) | {"p (Holm)": ELSEWHERE if elsewhere else p}
        if name == best:
            cells[title("dsc")] = Markdown(f"**{cells[title('dsc')]}**")
        lines.append(cells)
    return pd.DataFrame(lines, dtype=object)  # text of pandas would forget what is markdown


def plain_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The same of rows of one protocol that are no rivals, best first."""
    found = summaries(rows, SHOWN, sure="dsc")
    return ranked([_cells(*line) | {"_rank": -line[1]["dsc"]["mean"]} for line in found])


def cells_table(board: Board) -> pd.DataFrame:
    """Every line on all folds and seeds that it has, whether others have them or not."""
    rows = board.headline
    same = len(rows) == len(board.rows)  # intervals take most of the time of a large page
    found = board.lines if same else summaries(rows, SHOWN, sure="dsc")
    cells = {
        line_name(key["method"], key["variant"]): in_words(mine[list(CELL)].drop_duplicates())
        for key, mine in groups(rows[[*LINE, *CELL]], LINE)
    }
    return ranked(
        [
            {"method": line["method"], "folds and seeds": cells.get(line["method"], "")}
            | measured(numbers, "dsc")
            | certainty(numbers["dsc"])
            | coverage(numbers)
            | {"_rank": -numbers["dsc"]["mean"]}
            for line, numbers in found
        ]
    ).drop(columns="failed")


def is_control(name: str) -> bool:
    """Whether a line is of a method that a CAM or a baseline has to beat."""
    label = name.partition(EQUALS)[0].partition(" ")[0]
    try:
        return chain.is_control(label)
    except ConfigError:  # a baseline, or a method that is not installed here
        return label in baselines and bool(baselines.describe(label).facts.get("control"))


def _cells(line: dict[str, Any], numbers: Summaries) -> dict[str, Any]:
    """Columns of a main table, but for how sure the order is."""
    return (
        {"method": line["method"], "supervision": _seen(line)}
        | measured(numbers, "dsc")
        | {"95 % interval": interval(numbers["dsc"])}
        | measured(numbers, "asd_mm", "mad_mm")
        | {"failed": coverage(numbers)["failed"]}
    )


def _seen(line: dict[str, Any]) -> str:
    return f"{line['supervision']}, control" if is_control(line["method"]) else line["supervision"]
