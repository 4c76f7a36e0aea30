"""Tables of a report as LaTeX, ready for a paper: booktabs, captions that say what was measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pandas as pd

from camzoo.core.text import plain
from camzoo.evaluate.rows import SEGMENTATION
from camzoo.metrics.subregions import WHOLE
from camzoo.report.escaping import latex
from camzoo.report.facts import listed
from camzoo.report.opened_runs import OpenedRun
from camzoo.report.records import Record
from camzoo.report.segmentation import NOT_RUN, of_baselines, of_maps, rankable, segmentation_table
from camzoo.report.table_cells import LEVEL, SHOWN, compare, title, winner
from camzoo.report.tables import HEADLINE, of_weak, pooled_table, volume_table
from camzoo.report.told_apart import told_apart

#: Columns of texts; the others are numbers and stand to the right.
_TEXTS: Final = ("method", "supervision")
#: How columns begin that do not fit beside the rest, and stand in the leaderboard.
_LEFT_OUT: Final = (
    "ASD with failures",
    "nothing there",
    "seeds",
    "paper DSC",
    "paper ASD",
    "paper MAD",
)


@dataclass(frozen=True)
class _Table:
    """A table before it is LaTeX.

    Attributes:
        name: Of its file and label.
        cells: Finished cells.
        caption: Plain text.
        bold: Method to print in bold, by column.
    """

    name: str
    cells: pd.DataFrame
    caption: str
    bold: dict[str, str | None] = field(default_factory=dict)


def write_latex(runs: Sequence[OpenedRun], folder: Path, _cases: int) -> None:
    """Write the tables of each run, a file each.

    Args:
        runs: Those of the report.
        folder: An empty folder.
    """
    for run in runs:
        for table in _tables(run.record):
            head = f"% {plain(run.record.run)}; needs \\usepackage{{booktabs}}\n"
            path = folder / f"{run.record.run}-{table.name}.tex"
            path.write_text(head + _latex(run, table), encoding="utf-8")


def _tables(record: Record) -> Iterator[_Table]:
    """Pseudo-masks and volumes of maps, volumes of baselines: those that the run has."""
    rows = told_apart(record)
    maps, baselines = of_weak(of_maps(rows)), of_baselines(rows)
    if len(maps):
        about = "Pooled DSC (%) of the pseudo-masks of the training slices by protocol"
        caption = f"{about}. {_of_run(maps, 'train', record)} ±: sample standard deviation over "
        caption += "folds and seeds."
        yield _Table("pooled", pooled_table(maps), caption)
        shown = maps[(maps["subset"] == "test") & (maps["region"] == WHOLE)]
        shown = shown[shown["protocol"] == HEADLINE.value]
        about = f"Volumes of the test patients, threshold {HEADLINE.value} ({HEADLINE.meaning})"
        caption = f"{about}. {_of_run(shown, 'test', record)} {_NUMBERS}"
        yield _Table("volumes", volume_table(maps), caption, _winners(shown))
    shown = baselines[(baselines["stage"] == SEGMENTATION) & (baselines["region"] == WHOLE)]
    if len(shown):
        cells = segmentation_table(baselines)
        cells = cells[cells["DSC (%)"] != NOT_RUN]
        about = "Volumes of the test patients that baselines segmented, without a threshold"
        caption = f"{about}. {_of_run(shown, 'test', record)} {_NUMBERS}"
        yield _Table("baselines", cells, caption, _winners(rankable(shown)))


_NUMBERS: Final = (
    "Mean ± sample standard deviation over volumes. Bold: better than every other method that sees "
    f"no masks (two-sided Wilcoxon test over patients, failures at their worst, p < {LEVEL:g} "
    "after the correction of Holm over all pairs of them); nothing is bold where no method is."
)


def _of_run(rows: pd.DataFrame, subset: str, record: Record) -> str:
    """What a caption says of the data: how many cases, which folds and seeds."""
    rows, config = rows[rows["subset"] == subset], record.manifest["config"]
    return (
        f"{record.manifest['dataset']['title']}, {subset}: {rows['case'].nunique()} volumes of "
        f"{rows['patient'].nunique()} patients; split {config['data']['split']}, "
        f"fold {listed(config['data']['folds'])}, seed {listed(config['seeds'])}."
    )


def _winners(rows: pd.DataFrame) -> dict[str, str | None]:
    """Which method is surely the best by each metric, by column."""
    return {title(metric): winner(compare(rows, metric)) for metric in SHOWN}


def _latex(run: OpenedRun, table: _Table) -> str:
    cells = table.cells.loc[:, [not str(name).startswith(_LEFT_OUT) for name in table.cells]]
    marks = pd.DataFrame("", cells.index, cells.columns)
    for column, method in table.bold.items():
        marks.loc[cells["method"] == method, column] = "textbf:--rwrap;"
    texts = sum(column in _TEXTS for column in cells.columns)
    marks.columns = pd.Index([latex(column) for column in cells.columns])
    shown = cells.map(latex).set_axis(marks.columns, axis=1)
    return shown.style.hide(axis="index").apply(lambda _: marks, axis=None).to_latex(
        column_format="l" * texts + "r" * (len(cells.columns) - texts),
        position="t", position_float="centering", hrules=True, environment="table*",
        caption=latex(table.caption), label=f"tab:{_label(run.record.run)}-{table.name}",
    )  # fmt: skip


def _label(run: str) -> str:
    """A name that may stand in a label, of which commands are made."""
    return re.sub(r"[^A-Za-z0-9]+", "-", run).strip("-")
