"""The ten lines on top of a page say what its rows give."""

from camzoo.evaluate.rows import make_rows
from camzoo.report.board import boards
from camzoo.report.merged import merge
from camzoo.report.records import read_record
from camzoo.report.summary import ten_lines
from tests.report.run_folders import run_folder
from tests.report.test_segmentation_tables import maps


def told(folder, rows):
    rows = make_rows(rows)
    merged = merge([read_record(run_folder(folder, rows, rows))])
    return dict(ten_lines(merged, boards(merged)))


def test_the_threshold_of_the_best_method_is_named(tmp_path):
    """Of one fold, and of two that chose others."""
    line = (
        "validated: threshold best on the masks of validation patients, for cam {}; "
        "oracle would add 0.00 points to the best method"
    )
    assert told(tmp_path / "one", maps())["protocol"] == line.format("0.40")
    second = [
        row | {"fold": 1, "case": f"{row['case']}b", "patient": f"{row['patient']}b"}
        | {"threshold": 0.6 if row["protocol"] == "validated" else 0.5}
        for row in maps()
    ]  # fmt: skip
    two = told(tmp_path / "two", [*maps(), *second])
    assert two["protocol"] == line.format("0.40 to 0.60")
