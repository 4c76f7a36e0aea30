"""Pages call two data sets of one name by two names."""

import pytest

from camzoo.core.errors import CamzooError, DamagedError
from camzoo.evaluate.rows import make_rows, write_rows
from camzoo.report.leaderboards import check_leaderboards, update_leaderboards
from camzoo.report.records import read_record
from tests.report.run_folders import run_folder
from tests.report.test_segmentation_tables import maps

A, B = "a" * 64, "b" * 64


def run_of(folder, run, data, dataset="acdc"):
    """A run that says what its data are; None is one from before that was written down."""
    known = {"data": data[:8]} if data else {}
    rows = make_rows([row | {"run": run, "dataset": dataset} | known for row in maps()])
    facts = {"title": "Hearts", "organs": sorted(rows["organ"].unique()), "caveats": []}
    facts |= {"name": dataset} | ({"data": data} if data else {})
    return run_folder(folder / run, rows, rows, dataset=facts)


def headings(page):
    return [
        line for line in page.read_text("utf-8").splitlines() if line.startswith(("# ", "### r"))
    ]


def test_two_data_sets_of_one_name_are_told_apart(tmp_path):
    out = tmp_path / "out"
    (page,) = update_leaderboards([run_of(tmp_path, "r1", A)], out)
    assert headings(page) == ["# acdc", "### r1"]
    assert "; content aaaaaaaa" in page.read_text("utf-8")
    others = [run_of(tmp_path, "r2", B), run_of(tmp_path, "r3", A)]
    pages = update_leaderboards(others, out)
    assert [headings(page) for page in pages] == [
        ["# acdc-aaaaaaaa", "### r1", "### r3"],
        ["# acdc-bbbbbbbb", "### r2"],
    ]
    names = sorted(path.name for path in out.glob("*.md"))
    assert names == ["README.md", *(page.name for page in pages)], "a page has no record"
    check_leaderboards(out)


def test_a_page_that_no_record_belongs_on_is_found(tmp_path):
    (page,) = update_leaderboards([run_of(tmp_path, "r1", A)], tmp_path / "out")
    (page.parent / "README.md").write_text("mine")
    check_leaderboards(page.parent)
    page.with_name("old.md").write_text(page.read_text("utf-8"), "utf-8")
    with pytest.raises(CamzooError, match=r"no record is of .*old\.md"):
        check_leaderboards(page.parent)
    update_leaderboards([], page.parent)
    assert sorted(p.name for p in page.parent.glob("*.md")) == ["README.md", "acdc.md"]


def test_records_from_before_there_were_digests_keep_their_page(tmp_path):
    runs = [run_of(tmp_path, "r1", None), run_of(tmp_path, "r2", A)]
    assert [page.name for page in update_leaderboards(runs, tmp_path / "one")] == ["acdc.md"]
    runs.append(run_of(tmp_path, "r3", B))
    names = [page.name for page in update_leaderboards(runs, tmp_path / "two")]
    assert names == ["acdc.md", "acdc-aaaaaaaa.md", "acdc-bbbbbbbb.md"]


def test_names_that_differ_in_capitals_alone_are_two_files_on_every_system(tmp_path):
    runs = [run_of(tmp_path, "r1", A, "heart"), run_of(tmp_path, "r2", B, "Heart")]
    names = [page.name for page in update_leaderboards(runs, tmp_path / "out")]
    assert names == ["Heart-bbbbbbbb.md", "heart-aaaaaaaa.md"]


@pytest.mark.parametrize("data", ["../../evil", "A" * 64, "a" * 63, ""])
def test_a_digest_is_one(tmp_path, data):
    with pytest.raises(DamagedError, match=r"dataset.*data"):
        read_record(_with_data(tmp_path, data))


def _with_data(folder, data):
    run = run_of(folder, "r1", A)
    text = (run / "manifest.json").read_text("utf-8").replace(A, data)
    (run / "manifest.json").write_text(text)
    return run


def test_rows_of_other_data_are_found(tmp_path):
    run = run_of(tmp_path, "r1", A)
    rows = make_rows([row | {"run": "r1", "data": B[:8]} for row in maps()])
    write_rows(rows, run / "rows.parquet")
    with pytest.raises(
        DamagedError, match=r"its data is 'bbbbbbbb', manifest\.json says 'aaaaaaaa'"
    ):
        read_record(run)
