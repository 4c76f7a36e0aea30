"""The ladder of a run: what each way adds, who wins by it, and which run is its twin."""

import numpy as np
import pandas as pd
import pytest

from camzoo.core.errors import ConfigError
from camzoo.evaluate.rows import make_rows
from camzoo.metrics.case import CaseReference
from camzoo.report.ladder import (
    distance_table,
    ladder_record,
    ladder_table,
    ladders,
    ladders_of,
    method_table,
)
from camzoo.report.records import read_record
from tests.report.run_folders import run_folder

CELL = {
    "dataset": "acdc", "fold": 0, "seed": 0, "backbone": "resnet50", "variant": "",
    "supervision": "image", "subset": "test", "organ": "left ventricle",
}  # fmt: skip
SPACING = (8.0, 1.5, 1.5)


def prediction(reference, shift, spill):
    """The organ, moved to the side, and so many slices longer than it is."""
    moved = np.roll(reference, shift, axis=2)
    top = np.flatnonzero(reference.any(axis=(1, 2)))[-1]
    moved[top + 1 : top + 1 + spill] = moved[top]
    return moved


#: By method: shift and spilt slices at the validated and at the oracle's threshold. Where only
#: slices that show the organ count, ``spilt`` is the better one.
MOVES = {"near": [(2, 0), (1, 0)], "spilt": [(1, 3), (1, 0)]}


def records(split, better=0):
    """Rows of two methods on three cases; those of another split are nearer by ``better``."""
    for i, depth in enumerate([3, 4, 2]):
        reference = np.zeros((9, 14, 12), bool)
        reference[1 : 1 + depth, 3:9, 2:7] = True
        one = CaseReference(reference, SPACING, slicewise=True)
        for method, moves in MOVES.items():
            for protocol, (shift, spill) in zip(["validated", "oracle"], moves, strict=True):
                (row,) = one.measure(prediction(reference, max(shift - better, 0), spill))
                yield CELL | {
                    "run": split, "split": split, "stage": "pseudo-mask", "method": method,
                    "protocol": protocol, "threshold": 0.4 if protocol == "validated" else 0.5,
                    "case": f"c{i}", "patient": f"p{i}",
                } | row  # fmt: skip
        (row,) = one.measure(prediction(reference, 1, 0))
        for baseline in ("p-cam", "c-cam"):
            yield CELL | {
                "run": split, "split": split, "stage": "segmentation", "method": baseline,
                "protocol": "none", "case": f"c{i}", "patient": f"p{i}",
            } | row  # fmt: skip


def record(folder, split="patient", better=0, **settings):
    rows = make_rows(records(split, better))
    curves = rows[rows["stage"] == "pseudo-mask"]
    settings = {"data.split": split} | settings
    return read_record(run_folder(folder, rows, curves, settings=settings))


@pytest.fixture
def run(tmp_path):
    return record(tmp_path / "run")


def test_the_winner_changes_with_the_way_of_scoring(run):
    maps, _ = ladders(run)
    table = ladder_table(maps).set_index("way of scoring")
    assert maps.dsc["volumes"].idxmax() == "near"
    assert maps.dsc["slices with the organ"].idxmax() == "spilt"
    assert table.loc["volumes", ["adds", "tau", "places moved"]].tolist() == ["+0.00", "1.00", "0"]
    assert table.loc["slices with the organ", "best"].startswith("spilt (")
    assert table.loc["slices with the organ", "tau"] == "-1.00"
    assert table.loc["slices with the organ", "places moved"].startswith("1 (")


def test_added_points_are_those_of_the_scores(run):
    maps, _ = ladders(run)
    table = ladder_table(maps).set_index("way of scoring")
    more = maps.dsc["oracle threshold"] - maps.dsc["volumes"]
    assert table.loc["oracle threshold", "adds"] == f"{more.mean():+.2f}"
    ends = f"{more.min():+.2f} to {more.max():+.2f}"
    assert table.loc["oracle threshold", "least to most"] == ends
    by_method = method_table(maps).set_index("method")
    assert by_method.loc["near", "oracle threshold"] == f"{more['near']:+.2f}"
    assert list(by_method.index) == ["near", "spilt"]


def test_segmented_volumes_have_no_threshold_and_so_no_oracle(run):
    _, volumes = ladders(run)
    assert volumes.what == "segmented volumes"
    table = ladder_table(volumes).set_index("way of scoring")
    assert table.loc["oracle threshold", "adds"] == "n/a"
    assert table.loc["pooled", "adds"] != "n/a"
    assert "oracle threshold" not in ladder_table(volumes, lacking=False)["way of scoring"].tolist()


def test_the_run_split_by_volume_is_found_among_others(run, tmp_path):
    twin = record(tmp_path / "twin", "paper-like", better=1)
    other = record(tmp_path / "other", "paper-like", better=2, **{"training.epochs": 3})
    maps, volumes = ladders(run, [run, other, twin])
    found = twin.rows[(twin.rows["method"] == "near") & (twin.rows["protocol"] == "validated")]
    assert maps.dsc.loc["near", "split by volume"] == pytest.approx(100 * found["dsc"].mean())
    assert maps.dsc.loc["near", "all of it"] > maps.dsc.loc["near", "volumes"]
    assert "split by volume" in volumes.dsc
    assert "split by volume" not in ladders(run, [run, other])[0].dsc
    assert list(ladders_of([run, twin])) == ["patient"]


def test_without_a_run_split_by_patient_there_is_no_ladder(tmp_path):
    with pytest.raises(ConfigError, match=r"split by patient .*; paper-like is none"):
        ladders_of([record(tmp_path / "twin", "paper-like")])


def test_rows_of_before_slices_were_counted_have_a_shorter_ladder(tmp_path):
    rows = make_rows(records("patient"))
    slices = ["slices_there", "slices_all", "n_pred_there", "dsc_2d", "slices", "asd_2d_mm"]
    rows[slices] = np.nan
    curves = rows[rows["stage"] == "pseudo-mask"]
    settings = {"data.split": "patient"}
    old = read_record(run_folder(tmp_path / "old", rows, curves, settings=settings))
    maps, _ = ladders(old)
    assert list(maps.dsc) == ["volumes", "oracle threshold", "pooled"]
    assert list(maps.asd) == ["ASD in volumes (mm)"]


def test_distances_in_pixels_are_compared_by_their_order(run):
    maps, _ = ladders(run)
    table = distance_table(maps).set_index("way of measuring")
    assert list(table.index) == [
        "ASD in volumes (mm)", "ASD per slice (mm)", "ASD per slice (pixels)",
    ]  # fmt: skip
    ratio = maps.asd["ASD per slice (mm)"] / maps.asd["ASD per slice (pixels)"]
    np.testing.assert_allclose(ratio, 1.5)
    # The spilt slices are no slices that both masks have: only in the volume do they count.
    assert table.loc["ASD in volumes (mm)", "best"].startswith("near")
    assert table.loc["ASD per slice (pixels)", "best"].startswith("spilt")


def test_numbers_for_programs_are_those_of_the_tables(run):
    maps, _ = ladders(run)
    found = ladder_record(maps)
    assert found["dsc"]["pooled"]["methods"] == pytest.approx(maps.dsc["pooled"].to_dict())
    assert found["asd"]["ASD per slice (mm)"].keys() == {"near", "spilt"}
    assert isinstance(maps.dsc, pd.DataFrame)
