"""What a page says first: ten lines, each a name and a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from camzoo.core.protocol import Protocol
from camzoo.core.supervision import Supervision
from camzoo.core.text import plain
from camzoo.evaluate.rows import line_name
from camzoo.metrics.frames import groups
from camzoo.report.board import Board, is_control
from camzoo.report.contenders import MAPS, VOLUMES, of_protocol
from camzoo.report.facts import classifier
from camzoo.report.merged import Merged
from camzoo.report.reported_volumes import reported_volumes
from camzoo.report.table_cells import (
    LEVEL,
    LINE,
    Summaries,
    alike,
    enough_patients,
    interval,
    named,
    p_value,
    spread,
    summaries,
    threshold_range,
)
from camzoo.report.tables import HEADLINE

_NONE: Final = "there are no such rows"
_Line = tuple[Mapping[str, Any], Summaries]


def ten_lines(merged: Merged, boards: Mapping[str, Board]) -> list[tuple[str, str]]:
    """Say which method is best, whether it surely is, and what all numbers rest on.

    Args:
        merged: Records of one data set.
        boards: Of these (:func:`camzoo.report.board.boards`).
    """
    maps, volumes = boards.get(MAPS), boards.get(VOLUMES)
    lines = [
        ("best method", _best_map(maps)),
        ("is it sure?", _sure(maps)),
        ("best control", _control(maps)),
        ("best weakly supervised system", _best_system(volumes)),
        ("with masks", _bound(volumes)),
        ("protocol", _protocol(maps)),
        ("failed or not run", _lacking(merged, boards)),
        ("cases", _cases(merged, boards)),
        ("folds and seeds", _cells(merged, boards)),
        ("made with", _made(merged)),
    ]
    return [(name, plain(text)) for name, text in lines]


def best_of(lines: Sequence[_Line]) -> str:
    """Name, mean and interval of the best line; where there is none, that."""
    return _told(lines[0]) if lines else _NONE


def _told(line: _Line) -> str:
    cells, numbers = line
    dsc = numbers["dsc"]
    return f"{cells['method']}: DSC {spread(dsc, 100)} % (95 % interval {interval(dsc)} %)"


def _best_map(board: Board | None) -> str:
    """The best method; where a control is ahead of all, the best that asks the classifier, too."""
    lines = board.ranked if board else []
    asking = [line for line in lines if not is_control(line[0]["method"])]
    if not asking or asking[0] is lines[0]:
        return best_of(lines)
    return f"{best_of(lines)}, a control that asks no classifier; of the others {_told(asking[0])}"


def _sure(board: Board | None) -> str:
    """Whether the best is better than the second, and if not, between how many it lies."""
    if board is None or board.compared is None:
        return "there is no other method to compare with"
    compared = board.compared.sort_values("mean", ascending=False, kind="stable")
    best, others = compared[compared["best"]].iloc[0], compared[~compared["best"]]
    second, share = others.iloc[0], f"{100 * best['p_first']:.0f} %"
    resampled = f"when patients are resampled, {_name(best)} is first in {share}"
    if not enough_patients(compared):
        few = f"{int(compared['n_patients'].min())} patients"
        return f"it cannot be told from {few} and {len(compared)} methods; {resampled}"
    as_good = alike(compared)
    verdict = "yes" if not len(as_good) else f"no, {len(as_good)} of {len(others)} may be as good"
    return f"{verdict}: {_against(second)}; {resampled}"


def _control(board: Board | None) -> str:
    """How far the best control lies behind the best, and whether that is real."""
    lines = [line for line in board.ranked if is_control(line[0]["method"])] if board else []
    if board is None or board.compared is None or not lines:
        return "no control was run"
    compared = board.compared
    name = lines[0][0]["method"]
    mine = next(line for _, line in compared.iterrows() if _name(line) == name)
    if mine["best"]:
        return f"{_told(lines[0])}; no method is ahead of it"
    if not enough_patients(compared):
        behind = f"{-100 * mine['difference']:.2f} points behind the best"
        return f"{_told(lines[0])}, {behind}; too few patients to tell whether that is real"
    real = "real" if mine["p_holm"] < LEVEL else "not surely real"
    return f"{_told(lines[0])}; {_against(mine)}: {real}"


def _best_system(board: Board | None) -> str:
    """The best system after the U-Net, and whether it surely is."""
    if board is None or not board.ranked:
        return "none: no baseline was run"
    return f"{best_of(board.ranked)}. Is it sure? {_sure(board)}"


def _bound(board: Board | None) -> str:
    """What whole masks give: the bound that weak supervision is measured by."""
    lines = board.lines if board else []
    seen = [line for line in lines if line[0]["supervision"] == Supervision.MASK.value]
    if board is None or not seen:
        return "no supervised bound was run"
    if not board.ranked:
        return best_of(seen)
    ahead = 100 * (seen[0][1]["dsc"]["mean"] - board.ranked[0][1]["dsc"]["mean"])
    return f"{best_of(seen)}, {ahead:.2f} points above {board.ranked[0][0]['method']}"


def _protocol(board: Board | None) -> str:
    """The headline's threshold, where it is from, and what choosing it in hindsight would add."""
    text = f"{HEADLINE.value}: threshold {HEADLINE.meaning}"
    if board is None or not board.ranked:
        return text
    best, numbers = board.ranked[0]
    text += f", for {best['method']} {_threshold(board, best['method'])}"
    rows = board.common.even(of_protocol(board.every, Protocol.ORACLE))
    oracle = [n for line, n in summaries(rows, ["dsc"]) if line["method"] == best["method"]]
    if not oracle:
        return text
    gap = 100 * (oracle[0]["dsc"]["mean"] - numbers["dsc"]["mean"])
    return f"{text}; {Protocol.ORACLE.value} would add {gap:.2f} points to the best method"


def _threshold(board: Board, name: str) -> str:
    """The threshold of a line, or the range of those of its folds and seeds."""
    rows = board.rows[[*LINE, "threshold"]]
    mine = next(m for key, m in groups(rows, LINE) if named(key)["method"] == name)
    return threshold_range(mine["threshold"].min(), mine["threshold"].max())


def failed_names(merged: Merged) -> dict[str, str]:
    """Why methods have no rows in any record, by their names in manifests."""
    lines = merged.maps[["method", "variant"]].drop_duplicates().itertuples(index=False, name=None)
    there = {line_name(*map(str, pair)).replace(" ", ":") for pair in lines}
    there |= {f"baseline {name}" for name in merged.baselines["method"].unique()}
    failures = {n: why for r in merged.records for n, why in r.manifest["failures"].items()}
    return {name: why for name, why in failures.items() if name not in there}


def _lacking(merged: Merged, boards: Mapping[str, Board]) -> str:
    """Methods that failed, baselines of the paper that were left out, organs that were missed."""
    failed, absent = failed_names(merged), []
    volumes = boards.get(VOLUMES)
    if volumes is not None:
        organs = tuple(sorted(map(str, volumes.every["organ"].unique())))
        there = {str(name) for name in volumes.every["method"].unique()}
        absent = [n for n in reported_volumes(merged.records[0].dataset, organs) if n not in there]
    lost = {what: _missed(board) for what, board in boards.items()}
    missed = "; ".join(f"{what}: {names}" for what, names in lost.items() if names)
    none = f"methods without any rows: {', '.join(failed)}" if failed else "every method ran"
    left = f"; of the paper's systems not run: {', '.join(absent)}" if absent else ""
    return f"{none}{left}; test volumes in which an organ was missed, {missed or 'none'}"


def _missed(board: Board) -> str:
    return ", ".join(
        f"{line['method']} {int(numbers['dsc']['n_failed'])}"
        for line, numbers in board.lines
        if numbers["dsc"]["n_failed"]
    )


def _cases(merged: Merged, boards: Mapping[str, Board]) -> str:
    first = merged.records[0]
    parts = [
        f"{what} {rows['case'].nunique()} volumes of {rows['patient'].nunique()} patients"
        for what, rows in ((what, _compared_rows(board)) for what, board in boards.items())
    ]
    content = f", content {first.data}" if first.data else ""
    about = f"{first.manifest['dataset']['title']}{content}"
    return f"{about}; test: {', '.join(parts) or 'none'}; organs: {', '.join(merged.organs)}"


def _compared_rows(board: Board) -> pd.DataFrame:
    return board.rows[board.common.has(board.rows)]


def _cells(merged: Merged, boards: Mapping[str, Board]) -> str:
    compared = [f"{what}: {board.common}" for what, board in boards.items()]
    configs = [record.manifest["config"] for record in merged.records]
    splits = dict.fromkeys(config["data"]["split"] for config in configs)
    return f"compared on {'; '.join(compared) or 'none'}; split: {', '.join(splits)}"


def _made(merged: Merged) -> str:
    """Classifiers and the code, one of each."""
    classifiers = dict.fromkeys(classifier(record.manifest) for record in merged.records)
    return f"{'; '.join(classifiers)}; {made_by(merged)}"


def made_by(merged: Merged) -> str:
    """Versions and commits that runs were put together at."""
    made: dict[str, dict[str, None]] = {}
    for environment in (record.manifest["environment"] for record in merged.records):
        commits = made.setdefault(environment["packages"]["camzoo"], {})
        commits[environment["commit"]] = None
    return "; ".join(f"camzoo {version} at {', '.join(c)}" for version, c in made.items())


def _against(line: pd.Series[Any]) -> str:
    """By how much the best is ahead of a line, and the p of that."""
    return f"{-100 * line['difference']:.2f} points to {_name(line)}, p (Holm) " + p_value(
        line["p_holm"]
    )


def _name(line: pd.Series[Any]) -> str:
    return line_name(str(line["method"]), str(line["variant"]))
