"""Numbers leave as they are, and text as text that no spreadsheet computes."""

import csv

import pandas as pd
import pytest

from camzoo.core.text import plain
from camzoo.evaluate.rows import make_rows
from camzoo.report.folder import Export, write_report
from camzoo.report.table_cells import EVERY_ORGAN
from tests.report.hostile import FRAMED
from tests.report.run_folders import run_folder
from tests.report.test_segmentation_tables import maps, record, records


def exported(tmp_path, rows):
    rows = make_rows(rows)
    curves = rows[rows["protocol"] != "none"]
    run = run_folder(tmp_path / "run", rows, curves)
    return rows, write_report([run], tmp_path / "out", exports=[Export.CSV]).parent / "csv"


def test_every_row_is_there_with_all_its_digits(tmp_path):
    rows, folder = exported(tmp_path, [*maps(), *records()])
    read = pd.read_csv(folder / "cases.csv")
    assert list(read.columns) == list(rows.columns)
    for name in ("dsc", "asd_mm", "tp", "threshold", "method", "case"):
        pd.testing.assert_series_equal(
            read[name], rows[name], check_dtype=False, rtol=1e-14, check_categorical=False
        )


def test_the_summary_has_the_means_by_hand(tmp_path):
    """Volumes of DSC 60 and 33.33 %: mean 46.67, sample std 26.67 / sqrt 2, pooled 50."""
    other = [
        record("cam", i, (0, 0, 40), stage="pseudo-mask", protocol="validated", threshold=0.4,
               organ="liver", status="empty-pred", asd_mm=None, mad_mm=None)
        for i in range(2)
    ]  # fmt: skip
    _, folder = exported(tmp_path, [*maps(), *other])
    read = pd.read_csv(folder / "summary.csv")
    lines = read[(read["metric"] == "dsc") & (read["subset"] == "test")]
    lines = lines[lines["protocol"] == "validated"].set_index("organ")
    assert lines["mean"].to_dict() == pytest.approx(
        {"left ventricle": (0.6 + 1 / 3) / 2, "liver": 0, EVERY_ORGAN: (0.6 + 1 / 3) / 4}
    )
    assert lines.loc["left ventricle", "std"] == pytest.approx((0.6 - 1 / 3) / 2**0.5)
    assert lines.loc["left ventricle", "pooled"] == pytest.approx(0.5)
    assert lines.loc["liver", "n_failed"] == 2
    assert set(read["metric"]) == {"dsc", "asd_mm", "mad_mm"}
    assert read.loc[read["metric"] == "asd_mm", "unit"].unique() == ["mm"]
    assert not read.duplicated(
        ["run", "stage", "subset", "method", "protocol", "organ", "metric"]
    ).any()


def test_hostile_names_are_inert_text(tmp_path):
    """A method and an organ for each of them."""
    rows = [
        row | {"method": text, "organ": text, "patient": f"={row['case']}"}
        for text in FRAMED.values()
        for row in maps()
    ]
    _, folder = exported(tmp_path, rows)
    for path in folder.iterdir():
        with path.open(encoding="utf-8", newline="") as file:
            heading, *lines = csv.reader(file)
        assert {len(line) for line in lines} == {len(heading)}
        names = {line[heading.index("method")] for line in lines}
        assert {name.removeprefix("'") for name in names} >= {
            plain(text).removeprefix("'") for text in FRAMED.values()
        }
        for line in lines:
            for cell in line:
                assert cell.isprintable()
                assert not cell.startswith(("=", "+", "@"))
                assert not cell.startswith("-") or float(cell) < 0
