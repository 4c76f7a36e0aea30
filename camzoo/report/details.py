"""What a page folds away: tables for those who want to know more than who is ahead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pandas as pd

from camzoo.report.board import Board, cells_table, plain_table
from camzoo.report.common_cells import Common
from camzoo.report.contenders import MAPS, VOLUMES, common_of, of_protocol, whole_of_test
from camzoo.report.context_maps import context_table
from camzoo.report.equivalents import EQUALS
from camzoo.report.escaping import escape
from camzoo.report.facts import length, listed
from camzoo.report.further import further_table
from camzoo.report.ladder import ladder_table, ladders_together
from camzoo.report.markdown import Block
from camzoo.report.merged import Merged
from camzoo.report.ranks import ASKED, agreement_table, rank_table, rankings
from camzoo.report.segmentation import (
    cost_table,
    learnt_table,
    segmentation_organ_table,
    segmentation_region_table,
    segmentation_table,
)
from camzoo.report.tables import (
    HEADLINE,
    of_aided,
    of_oracles,
    of_weak,
    pooled_organ_table,
    pooled_table,
    protocol_table,
    region_table,
)
from camzoo.report.thresholds import WITHIN, threshold_table
from camzoo.report.tuned import choice_table, tuned, tuned_table
from camzoo.report.worth import bound_table, exchange, validation_note, worth_table

_POOLED: Final = (
    "One confusion matrix over all voxels of the training volumes, maps gated by tags, as in the "
    "paper's Tables 1 and 2. `gap` is what choosing the threshold on the scored masks (`oracle`) "
    "adds over choosing it on other patients (`validated`)."
)
_CELLS: Final = (
    "All folds and seeds that a line has, whether others have them or not. `seeds`: lowest and "
    "highest mean of one; empty for a single seed."
)
_ORACLES: Final = (
    "What saw masks (`mask`), or marks cut from them (`image+seed`): bounds, which stand apart "
    "from the ranking. With map B, C-CAM's context map is counted from masks of the training "
    "slices; whether the paper's numbers were made this way is not known. Pooled DSC of the "
    f"training slices (%), then test volumes at the protocol {HEADLINE.value}."
)
_AIDED: Final = (
    "Maps prompt Segment Anything, which learnt a billion masks of other images: more than tags, "
    "and no rival of what learns from those. Pooled DSC of the training slices (%), then test "
    f"volumes at the protocol {HEADLINE.value}."
)
_FLAT: Final = (
    f"Pooled DSC (%) at fixed thresholds, as in the paper's Figure 8. `within {WITHIN:g} points`: "
    "width of the range around the best threshold that stays that near to it, mean ± sample "
    "standard deviation over folds and seeds."
)
_CONTEXT: Final = (
    "Mean ± sample standard deviation over folds and seeds. `weight`: of the added channel in the "
    "head, `weight_start`: before training. `ratio`: largest value it adds to a map, over the "
    "map's own. `attention`: share of the organ's context in M_c. `allowed`: share of the slice "
    "where anatomy causality leaves a map."
)
_PAPER: Final = (
    "Tables 3 and 4 of C-CAM, on its own data and split; a baseline of it that is not here is `not "
    "run`. `issoc` is no part of camzoo, which has a reconstruction, `issoc-style`."
)
_LEARNT: Final = (
    "What the baselines made of the training slices for their U-Net, scored as volumes; unknown "
    "pixels count as background."
)
_COSTS: Final = (
    "Wall time, mean over folds and seeds, without the classifier and its plain maps that all "
    "share. `maps`: steps of the chains that a baseline reads, shared with methods and baselines "
    "that read them, too; `n/a`, and then at the end, where one of them was made before times were "
    "taken. The memory is the largest of the whole process. `*`: went on after an interruption, "
    "whose time is not counted."
)
_RANKS: Final = (
    "`3 (1 to 6)`: third by its mean, and nothing rules out the ranks 1 to 6; the intervals of a "
    "column hold together with 95 %, over patients and the seeds and folds that are compared. "
    "`first three`: how often a method is among them when these are resampled. Below: how far "
    "rankings agree (Kendall's tau), by metrics and by schemes of challenges."
)
_LADDER: Final = (
    "What each way of scoring in the literature adds to the DSC (%) of the test patients over "
    "camzoo's own, `volumes`: mean over methods, and the least and the most. `tau`: how far the "
    "order of methods agrees with camzoo's own; `places moved`: by the method that moves most. "
    "Ways that need another run, or counts that no rows have, are left out, and methods whose rows "
    "lack counts of slices from the ways that need them."
)
_WORTH: Final = (
    "How many patients would have to be annotated for the common U-Net to be as good: between the "
    "numbers that were run its DSC is taken to be linear in their logarithm, and to fall nowhere. "
    "The interval draws test patients anew."
)
_TUNED: Final = (
    f"Each fold and seed chooses by the pooled DSC of its validation patients, as {HEADLINE.value} "
    "chooses the threshold: mean over the test volumes of what was chosen. The best in hindsight "
    "flatters itself."
)
_FURTHER: Final = (
    "Metrics of other packages than camzoo: mean ± sample standard deviation over volumes, of maps "
    f"at the protocol {HEADLINE.value}. Where a package was not there when this page was written, "
    "the heading is the column of its metric, and the mean runs over rows."
)
#: Thresholds that a page has room for.
_SHOWN_AT: Final = ("0.1", "0.3", "0.5", "0.7")


def blocks(merged: Merged, boards: Mapping[str, Board], failed: list[str]) -> list[Block]:
    """Return what there is to tell, in the order of the page.

    Args:
        merged: Records of one data set.
        boards: Of these.
        failed: Baselines without rows.
    """
    found = [
        *_of_maps(merged, boards.get(MAPS)),
        *_of_volumes(merged, boards.get(VOLUMES), failed),
        *_of_both(merged, boards),
    ]
    return [block for block in found if any(map(len, block.tables))]


def _of_maps(merged: Merged, board: Board | None) -> Iterator[Block]:
    rows = merged.maps if board is None else board.common.even(merged.maps)
    weak = of_weak(rows)
    if len(weak):
        note = "\n\n".join([_POOLED, *map(escape, merged.notes)])
        pooled = [_narrow(pooled_table(weak))]
        if len(merged.organs) > 1:
            pooled.append(_narrow(pooled_organ_table(weak)))
        yield Block("Pseudo-masks of the training slices: pooled DSC (%)", note, (*pooled,))
        everywhere = _narrow(protocol_table(weak))
        yield Block("Volumes of the test patients, all protocols", "", (everywhere,))
        thirds = _narrow(region_table(weak))
        yield Block(f"By third of the organ, protocol {HEADLINE.value}", "", (thirds,))
    if board is not None:
        yield Block("All folds and seeds of maps", _CELLS, (cells_table(board),))
    yield Block("With Segment Anything: masks of other images", _AIDED, _unranked(of_aided(rows)))
    oracles = _unranked(of_oracles(rows))
    yield Block("With reference masks: no weak supervision", _ORACLES, oracles)
    if len(merged.curves):
        curves = merged.curves if board is None else _first_names(board).even(merged.curves)
        first = {name.partition(EQUALS)[0] for name in rows["method"].unique()}
        flat = threshold_table(curves[curves["method"].isin(first)]).drop(columns="supervision")
        kept = [c for c in flat.columns if c in _SHOWN_AT or not str(c).startswith("0.")]
        yield Block("DSC of the training slices over thresholds", _FLAT, (flat[kept],))
    context = context_table(merged.cells, merged.organs)
    yield Block("What became of the context map", _CONTEXT, (context,))


def _unranked(rows: pd.DataFrame) -> tuple[pd.DataFrame, ...]:
    """Pseudo-masks and volumes of methods that stand apart from the ranking, if there are any."""
    if not len(rows):
        return ()
    test = of_protocol(whole_of_test(rows))
    even = common_of(test).even(rows) if len(test) else rows
    volumes = plain_table(of_protocol(whole_of_test(even))) if len(test) else pd.DataFrame()
    return pooled_table(even).drop(columns="threshold"), volumes


def _first_names(board: Board) -> Common:
    """What is compared, by the names that curves have: the first of those that share a line."""
    names = [name.partition(EQUALS)[0] for name in board.common.lines["method"]]
    return Common(board.common.lines.assign(method=names), board.common.cells)


def _of_volumes(merged: Merged, board: Board | None, failed: list[str]) -> Iterator[Block]:
    if board is None:
        return
    rows = board.common.even(merged.baselines)
    if len(merged.organs) > 1:
        yield Block("Systems by organ: DSC (%)", "", (_narrow(segmentation_organ_table(rows)),))
    thirds = segmentation_region_table(rows).drop(columns="supervision", errors="ignore")
    wide = any("paper" in column for column in thirds.columns)
    thirds = thirds.drop(columns="failed") if wide else thirds
    yield Block("Systems by third of the organ", "", (thirds,))
    paper = segmentation_table(rows, failed)
    beside = [c for c in paper.columns if c.startswith("paper")]
    names = ["method", *(n for c in beside for n in (c.removeprefix("paper "), c))]
    yield Block("Systems beside the paper's numbers", _PAPER, (paper[names],) if beside else ())
    yield Block("All folds and seeds of systems", _CELLS, (cells_table(board),))
    yield Block("Labels that baselines learnt", _LEARNT, (_narrow(learnt_table(rows)),))
    costs = cost_table(merged.costs) if merged.costs else pd.DataFrame()
    yield Block("What baselines took", f"{_unets(merged)}\n\n{_COSTS}", (costs,))


def _of_both(merged: Merged, boards: Mapping[str, Board]) -> Iterator[Block]:
    for what, rows in rankings(merged).items():
        tables = rank_table(rows, ASKED), agreement_table(rows, ASKED)
        yield Block(f"Ranks of {what} of the test patients", _RANKS, tables)
    for ladder in ladders_together(merged):
        title = f"The ladder of protocols: {ladder.what}"
        yield Block(title, _LADDER, (ladder_table(ladder, lacking=False),))
    if worth := exchange(merged):
        note = f"{_WORTH} Here {validation_note(worth)}."
        yield Block("Worth in masks", note, (bound_table(worth), worth_table(worth)))
    chosen = tuned(merged)
    if chosen:
        tables = tuned_table(chosen), choice_table(chosen)
        yield Block("Settings chosen on validation patients", _TUNED, tables)
    kept = [
        boards[w].common.even(rows) if w in boards else rows
        for w, rows in ((MAPS, merged.maps), (VOLUMES, merged.baselines))
        if len(rows)
    ]
    further = further_table(pd.concat(kept))
    yield Block("Further metrics: volumes of the test patients", _FURTHER, (further,))


def _narrow(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the supervision, which stands in the main table."""
    return frame.drop(columns="supervision", errors="ignore")


def _unets(merged: Merged) -> str:
    """Every U-Net that some baseline was trained with."""
    unets = dict.fromkeys(
        f"U-Net: {unet['side']} pixels, widths {listed(unet['widths'])}, {length(unet)}, "
        f"batches of {unet['batch']}"
        for unet in (
            record.manifest["config"]["segmentation"] for record in merged.records if record.costs
        )
    )
    return "; ".join(map(str, unets)) + "."
