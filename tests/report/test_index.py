"""The index of a folder of leaderboards."""

import re

import pytest

from camzoo.evaluate.rows import make_rows
from camzoo.report.board import boards
from camzoo.report.index import index
from camzoo.report.leaderboards import check_leaderboards, update_leaderboards
from camzoo.report.markdown import Block, contents, table
from camzoo.report.merged import merge
from camzoo.report.records import read_record
from tests.report.hostile import FRAMED
from tests.report.run_folders import run_folder
from tests.report.test_merged import record, rows
from tests.report.test_segmentation_tables import maps
from tests.report.test_titles import run_of


def test_it_names_the_best_and_who_made_it(tmp_path):
    one = record(tmp_path, "r1", rows(("cam", "layer-cam")))
    merged = merge([one])
    text = index({"acdc": ("acdc.md", merged, boards(merged))})
    # (30 + 3.5) / 40, and every one of 8 patients is better
    assert re.search(
        r"\| \[acdc\]\(acdc\.md\) \| 8 \| \*\*cam: 83\.75 ± 6\.12\*\* \| none \| 1 \| "
        r"camzoo 0\.1\.0 at abc \|",
        text,
    )


@pytest.mark.parametrize("text", FRAMED.values(), ids=FRAMED)
def test_names_of_others_are_inert_in_it(text, tmp_path):
    hostile = make_rows([row | {"method": text} for row in maps()])
    merged = merge([read_record(run_folder(tmp_path / "r1", hostile, hostile))])
    page = index({text: ("x.md", merged, boards(merged))})
    assert not re.search(r"<[A-Za-z/!?]", page)
    lines = re.findall(r"^\|.*$", page, re.MULTILINE)
    assert len(lines) == 3
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {7}
    assert re.findall(r"(?<!\\)\]\(([^)]*)\)", page) == ["records", "x.md"]


def test_a_data_set_called_as_the_index_has_a_page_of_its_own(tmp_path):
    runs = [run_of(tmp_path, "r1", None, "ReadMe")]
    (page,) = update_leaderboards(runs, tmp_path / "out")
    assert page.name == "ReadMe-data.md"
    assert "[ReadMe](ReadMe-data.md)" in (tmp_path / "out" / "README.md").read_text("utf-8")
    check_leaderboards(tmp_path / "out")


def test_a_readme_of_somebody_else_stays(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("mine")
    update_leaderboards([run_of(tmp_path, "r1", None)], tmp_path / "out")
    check_leaderboards(tmp_path / "out")
    assert (tmp_path / "out" / "README.md").read_text("utf-8") == "mine"


def test_no_table_is_wider_than_a_screen_and_links_lead_somewhere(tmp_path):
    runs = [run_of(tmp_path, "r1", None)]
    (page,) = update_leaderboards(runs, tmp_path / "out")
    text = page.read_text("utf-8")
    widths = {len(re.findall(r"(?<!\\)\|", x)) for x in text.splitlines() if x.startswith("|")}
    assert max(widths) <= 9  # a bar more than columns
    titles = re.findall(r"^##+ (.+)$", text, re.MULTILINE)
    links = dict(re.findall(r"\[([^\]]+)\]\(#([^)]+)\)", text))
    assert len(links) >= 5
    for title, anchor in links.items():
        assert title in titles
        assert re.fullmatch(r"[\w-]+", anchor)
    assert len(re.findall(r"^- \*\*", text, re.MULTILINE)) == 10
    assert (
        text.count("<details>")
        == text.count("</details>")
        == len(re.findall(r"^<details><summary>[0-9a-z ]+</summary>$", text, re.MULTILINE))
    )


def test_a_wide_table_becomes_several():
    frame = make_rows(maps()).iloc[:1, :10].astype(str)
    parts = table(frame).split("\n\n")
    assert [part.splitlines()[0].count("|") - 1 for part in parts] == [8, 3]
    assert all(part.startswith("| run |") for part in parts)
    assert contents(["A b: c (%)"]) == "[A b: c (%)](#a-b-c-)\n"
    assert str(Block("t", "", (frame,))).startswith("### t\n\n<details><summary>1 lines</summary>")
