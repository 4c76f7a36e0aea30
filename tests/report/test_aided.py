"""What asks a network that learnt masks of other images: shown, and ranked with nobody."""

import pytest

from camzoo.core.supervision import Supervision
from camzoo.evaluate.rows import make_rows
from camzoo.report.board import boards
from camzoo.report.contenders import MAPS, contenders
from camzoo.report.details import blocks
from camzoo.report.merged import merge
from camzoo.report.records import read_record
from camzoo.report.tables import of_aided, of_no_masks, of_oracles, of_weak
from camzoo.report.terminal import summary
from camzoo.report.told_apart import told_apart
from tests.report.run_folders import run_folder
from tests.report.test_tables import records

AIDED, ORACLE = "cam[sam]", "prior-only"
TITLE = "With Segment Anything: masks of other images"


@pytest.fixture
def rows():
    """Two methods of tags, one of them a second time with Segment Anything and once with masks."""
    cam = [row for row in records() if row["method"] == "cam"]
    best = {"tp": 40, "n_pred": 40, "n_ref": 40, "dsc": 1.0}
    aided = [row | best | {"method": AIDED, "supervision": "image+sam"} for row in cam]
    oracle = [row | best | {"method": ORACLE, "supervision": "mask"} for row in cam]
    return make_rows([*records(), *aided, *oracle])


@pytest.fixture
def record(rows, tmp_path):
    return read_record(run_folder(tmp_path / "run", rows, rows))


def names(rows):
    return set(rows["method"].unique())


def test_every_row_is_of_one_kind(rows):
    assert names(of_weak(rows)) == {"cam", "grad-cam"}
    assert names(of_aided(rows)) == {AIDED}
    assert names(of_oracles(rows)) == {ORACLE}


@pytest.mark.parametrize("supervision", Supervision)
def test_what_is_not_ranked_is_in_one_of_the_other_tables(rows, supervision):
    mine = rows[rows["method"] == "cam"].assign(supervision=supervision.value)
    tables = [of_weak(mine), of_aided(mine), of_oracles(mine)]
    assert sorted(map(len, tables)) == [0, 0, len(mine)]
    assert bool(len(tables[0])) is supervision.ranked
    assert bool(len(of_no_masks(mine))) is not supervision.opens_masks


def test_it_is_ranked_with_nobody_and_has_a_section_of_its_own(record):
    merged = merge([record])
    shown = boards(merged)
    assert names(contenders(merged)[MAPS]) == {"cam", "grad-cam"}
    assert {line["method"] for line, _ in shown[MAPS].lines} == {"cam", "grad-cam"}
    tables = {block.title: block.tables for block in blocks(merged, shown, [])}
    pooled, volumes = tables[TITLE]
    assert pooled["method"].tolist() == volumes["method"].tolist() == [AIDED]
    assert volumes["supervision"].tolist() == ["image+sam"]
    assert not any("p (Holm)" in frame for frame in (pooled, volumes))
    others = [frame for title, frames in tables.items() if title != TITLE for frame in frames]
    compared = [frame for frame in others if "p (Holm)" in frame or "rank" in frame]
    assert not any((frame["method"] == AIDED).any() for frame in compared)


def test_pages_tell_it_apart_from_tags_and_from_masks(record):
    told = told_apart(record)
    kinds = dict(zip(told["method"].astype(str), told["learnt from"].astype(str), strict=True))
    assert kinds == {
        "cam": "tags, or tags and sizes", "grad-cam": "tags, or tags and sizes",
        AIDED: "tags and Segment Anything", ORACLE: "whole masks, or marks: upper bounds",
    }  # fmt: skip


def test_the_terminal_has_tables_of_its_own_for_it(rows):
    titles = [str(table.title) for table in summary(rows)]
    assert len(titles) == 6
    assert sum(title.endswith(", with masks of other images: not ranked") for title in titles) == 2
