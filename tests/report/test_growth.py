"""Pages of many methods and cases: work grows no faster than rows, and nothing idle is imported."""

import cProfile
import subprocess
import sys
from pstats import Stats

import pytest

from camzoo.core.stored import read_parquet
from camzoo.evaluate.rows import make_rows, write_rows
from camzoo.report.leaderboards import check_leaderboards, update_leaderboards
from camzoo.report.records import read_record
from tests.report.large_record import large_record
from tests.report.test_tables import records as rows_of_two_methods

FEW, MANY = 8, 32
SCRIPT = """
import sys
from pathlib import Path
from camzoo.report.folder import write_report
from camzoo.report.leaderboards import check_leaderboards
out = Path(sys.argv[1])
check_leaderboards(out)
write_report([out / "records" / "many"], out / "report")
print(sorted({"torch", "timm", "scipy.stats", "matplotlib"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    """Leaderboards of few and of many methods and cases, by their numbers."""
    folder = tmp_path_factory.mktemp("large")
    made = {}
    for methods, cases in [(FEW, 60), (MANY, 60), (FEW, 240)]:
        name = f"{methods}-{cases}"
        made[methods, cases] = folder / f"out-{name}"
        update_leaderboards([large_record(folder / name, methods, cases)], folder / f"out-{name}")
    return made


def calls(out):
    """Calls of functions that it takes to make the pages: a time that no other program disturbs."""
    profile = cProfile.Profile()
    profile.runcall(check_leaderboards, out)
    return Stats(profile).total_calls


def test_work_grows_no_faster_than_methods_and_not_with_cases(boards):
    few = calls(boards[FEW, 60])
    assert calls(boards[MANY, 60]) < few * MANY / FEW
    assert calls(boards[FEW, 240]) < 1.5 * few


def test_pages_are_made_without_what_they_do_not_need(boards):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, boards[FEW, 60]], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_records_keep_text_as_categories_and_curves_summed(boards):
    folder = boards[FEW, 60] / "records" / "many"
    record, curves = read_record(folder), read_parquet(folder / "curves.parquet")
    assert record.rows.dtypes["case"] == "category"
    assert record.rows["method"].cat.categories.is_monotonic_increasing
    # 8 methods, 3 subsets, 19 thresholds; each of the sums is over 12 or 36 cases.
    assert len(curves) == 8 * 60 * 19
    assert len(record.curves) == 8 * 3 * 19
    key = {"method": "method-003", "subset": "val", "threshold": curves["threshold"].min()}
    found, counted = (
        frame[(frame[list(key)] == list(key.values())).all(axis=1)]
        for frame in (record.curves, curves)
    )
    assert len(counted) == 12
    assert found["tp"].tolist() == [counted["tp"].sum()]


def test_categories_are_in_alphabetical_order(tmp_path):
    rows = make_rows(rows_of_two_methods())[::-1]
    write_rows(rows, tmp_path / "rows.parquet")
    found = read_parquet(tmp_path / "rows.parquet", categories=True)["case"]
    assert found.cat.categories.tolist() == ["test0", "test1", "train0", "train1"]
    assert found.tolist() == rows["case"].tolist()
