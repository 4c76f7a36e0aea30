"""Rows of runs and of ``camzoo score`` that are asked for, in the order of a metric."""

import pytest

from camzoo.core.errors import ConfigError, DataError
from camzoo.evaluate.rows import make_rows, write_rows
from camzoo.report.overview import Condition, overview, overview_table, parse_condition
from tests.report.run_folders import run_folder
from tests.report.test_segmentation_tables import maps, records


def folder_of_run(path, **settings):
    rows = make_rows([*maps(), *records()])
    curves = make_rows(maps())
    return run_folder(path, rows, curves, settings=settings)


def folder_of_scores(path):
    """What ``camzoo score --preds`` writes: no split, no seed, no supervision, masks as given."""
    left = ("split", "fold", "seed", "backbone", "variant", "supervision")
    rows = [
        {name: value for name, value in row.items() if name not in left}
        | {"run": "score", "method": "mine", "protocol": "as given", "asd_mm": 0.5}
        for row in records() if row["method"] == "c-cam"
    ]  # fmt: skip
    path.mkdir()
    write_rows(make_rows(rows), path / "rows.parquet")
    return path


def found(lines):
    return [(cells["run"], cells["method"], cells["protocol"]) for cells, _ in lines]


def test_runs_and_scores_stand_in_one_order(tmp_path):
    folders = [folder_of_run(tmp_path / "r1"), folder_of_scores(tmp_path / "elsewhere")]
    lines = overview(folders, sort="dsc")
    # Means of 100 and 95; 72 and 60, twice; 60 and 33.33, twice: ties stay as they came.
    assert found(lines) == [
        ("r1", "supervised", "none"), ("r1", "c-cam", "none"), ("elsewhere", "mine", "as given"),
        ("r1", "cam", "validated"), ("r1", "p-cam", "none"),
    ]  # fmt: skip
    assert found(overview(folders, sort="asd_mm"))[0] == ("elsewhere", "mine", "as given")
    table = overview_table(lines)
    assert table.loc[2, ["run", "method", "DSC (%)", "ASD (mm)"]].tolist() == [
        "elsewhere", "mine", "66.00 ± 8.49", "0.50 ± 0.00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("conditions", "methods"),
    [
        ([parse_condition("stage=segmentation")], {"supervised", "c-cam", "p-cam"}),
        ([Condition("method", ("c-c*", "cam"))], {"c-cam", "cam"}),
        ([parse_condition("backbone=resnet50"), parse_condition("stage=pseudo-mask")], {"cam"}),
        ([parse_condition("training.epochs=7")], {"supervised", "c-cam", "p-cam", "cam"}),
        ([parse_condition("supervision=mask")], {"supervised"}),
    ],
)
def test_conditions_are_of_columns_and_of_settings(tmp_path, conditions, methods):
    folders = [folder_of_run(tmp_path / "r1", **{"training.epochs": 7})]
    folders.append(folder_of_scores(tmp_path / "elsewhere"))
    lines = overview(folders, conditions)
    assert {cells["method"] for cells, _ in lines if cells["run"] == "r1"} == methods


def test_another_protocol_is_shown_where_it_is_asked_for(tmp_path):
    lines = overview([folder_of_run(tmp_path / "r1")], [parse_condition("protocol=oracle")])
    assert found(lines) == [("r1", "cam", "oracle")]


def test_what_cannot_be_shown_is_said(tmp_path):
    run = folder_of_run(tmp_path / "r1")
    with pytest.raises(ConfigError, match="no row fits method=x-ray"):
        overview([run], [Condition("method", ("x-ray",))])
    with pytest.raises(ConfigError, match=r"unknown column or setting 'backbon'.*backbone"):
        overview([run], [parse_condition("backbon=resnet50")])
    with pytest.raises(ConfigError, match="takes NAME=VALUE"):
        parse_condition("backbone")
    with pytest.raises(ConfigError, match="unknown metric"):
        overview([run], sort="dcs")
    with pytest.raises(ConfigError, match="no finished run"):
        overview([tmp_path])
    scores = folder_of_scores(tmp_path / "s")
    (scores / "rows.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError):
        overview([scores])
