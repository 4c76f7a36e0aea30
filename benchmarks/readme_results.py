"""Writes the results in the README, from records: ``python -m benchmarks.readme_results``."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import filled
from camzoo.core.protocol import Protocol
from camzoo.core.supervision import Supervision
from camzoo.evaluate.rows import PSEUDO_MASK, SEGMENTATION, line_name
from camzoo.report.board import boards, is_control
from camzoo.report.merged import merge
from camzoo.report.numbers import numbers
from camzoo.report.records import read_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from camzoo.report.records import Record

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
RECORDS = ROOT / "leaderboards" / "records"
#: Ranks of methods on it are no ranks on patients.
SYNTHETIC = "phantom"


def of_tags(line):
    return line["supervision"] == Supervision.IMAGE.value and not is_control(line["method"])


def is_cam(line):
    return line["method"] == "cam"


def _variant(line):
    """What was asked of a method, without what tells lines of several runs apart: (steps 600)."""
    return line["variant"].partition("(")[0].strip()


#: What a line of the table says -> stage, protocol, and which of a record's lines may be it.
LINES: dict[str, tuple[str, Protocol | None, Callable]] = {
    "maps: best control (Gaussian, noise, Otsu, mean mask)": (
        PSEUDO_MASK,
        Protocol.VALIDATED,
        lambda line: is_control(line["method"]) and not _variant(line),
    ),
    "maps: CAM": (PSEUDO_MASK, Protocol.VALIDATED, is_cam),
    "maps: CAM, threshold chosen on the scored masks": (PSEUDO_MASK, Protocol.ORACLE, is_cam),
    "maps: best from tags": (PSEUDO_MASK, Protocol.VALIDATED, of_tags),
    "U-Net: best from tags": (SEGMENTATION, None, of_tags),
    "U-Net: from masks, the upper bound": (
        SEGMENTATION,
        None,
        lambda line: line["supervision"] == Supervision.MASK.value,
    ),
}


def results(records: list[Record]) -> list[dict[str, object]]:
    """Return the lines of the table, with a column per data set that is not synthetic.

    A cell is the mean DSC of the test volumes in percent, a failure counted as 0, the name of what
    reached it, and the number of volumes. All cells of maps of a data set are of the folds and
    seeds that its page compares lines on, and so are all cells of U-Nets.
    """
    of_data = defaultdict(list)
    for record in records:
        if record.dataset != SYNTHETIC:
            of_data[_column(record)].append(record)
    compared = {data: _compared(of_data[data]) for data in sorted(of_data)}
    return [
        {"DSC of test volumes, %": what}
        | {data: _cell(lines, *LINES[what]) for data, lines in compared.items()}
        for what in LINES
    ]


def _column(record):
    organs = sorted(map(str, record.rows["organ"].unique()))
    return f"{record.dataset}, {organs[0] if len(organs) == 1 else f'{len(organs)} organs'}"


def _compared(records):
    """The lines of both main tables of a page that have all of the volumes."""
    tables = [numbers(board.common.even(board.every)) for board in boards(merge(records)).values()]
    most = [max(line["dsc"]["n"] for line in table) for table in tables]
    return [
        line for table, n in zip(tables, most, strict=True) for line in table
        if line["dsc"]["n"] == n
    ]  # fmt: skip


def _cell(lines, stage, protocol, may_be):
    found = [
        line
        for line in lines
        if line["stage"] == stage
        and may_be(line)
        and (protocol is None or line["protocol"] == protocol.value)
    ]
    if not found:
        return "not run"
    best = max(found, key=_dsc)
    name = line_name(best["method"], _variant(best))
    return f"{100 * _dsc(best):.1f} (`{name}`, n = {best['dsc']['n']})"


def _dsc(line):
    return line["dsc"]["mean_with_failures"]


def fill(page: str) -> str:
    """Replace the table in the README's text."""
    records = [read_record(folder) for folder in sorted(RECORDS.iterdir())]
    return filled(page, "results", results(records))


if __name__ == "__main__":
    README.write_text(fill(README.read_text(encoding="utf-8")), encoding="utf-8")
