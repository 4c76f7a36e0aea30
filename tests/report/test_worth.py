"""What weak supervision is worth in masks: by hand, from the record of a run."""

import json

import pandas as pd
import pytest

from camzoo.core.errors import ConfigError
from camzoo.evaluate.rows import make_rows
from camzoo.metrics.overlap import dice
from camzoo.report.merged_runs import merge_runs
from camzoo.report.worth import (
    bound_table,
    exchange,
    exchange_record,
    require_exchange,
    validation_note,
    worth_table,
)
from tests.report.run_folders import run_folder

CELL = {
    "run": "run", "dataset": "acdc", "split": "patient", "seed": 0, "backbone": "resnet50",
    "organ": "left ventricle", "region": "whole", "status": "ok", "asd_mm": 1.0, "mad_mm": 1.0,
    "diagonal_mm": 50.0,
}  # fmt: skip
#: True positives of 100 voxels, of a mask of 100: the DSC in percent.
MAPS = {"cam": 50, "poor": 20, "rich": 95}
MASKS = {
    "patients=1": 40, "draw=1 patients=1": 20,  # 30 in the mean
    "patients=2": 50, "draw=1 patients=2": 70,  # 60 in the mean
    "": 90,  # of all four training patients
}  # fmt: skip
SPLIT = {
    "train": [f"r{i}" for i in range(8)],  # two cases of each of four patients
    "val": ["v0", "v1"],
    "test": ["t0", "t1", "t2"],
}


def patient(case):
    return f"p{int(case[1]) // 2}" if case.startswith("r") else f"of {case}"


def lines(subset, fold, dsc, **line):
    counts = {"tp": dsc, "n_pred": 100, "n_ref": 100, "dsc": float(dice(dsc, 100, 100))}
    return [
        CELL | line | counts | {"case": case, "patient": patient(case), "subset": subset,
        "fold": fold, "threshold": 0.5}
        for case in SPLIT[subset]
    ]  # fmt: skip


def of_maps(fold=0):
    for method, dsc in MAPS.items():
        line = {
            "stage": "pseudo-mask", "method": method, "variant": "", "supervision": "image",
        }  # fmt: skip
        for subset in SPLIT:
            yield from lines(subset, fold, dsc, **line)


def of_volumes(masks, fold=0):
    system = {"stage": "segmentation", "protocol": "none"}
    for variant, dsc in masks.items():
        line = {"method": "supervised", "variant": variant, "supervision": "mask"}
        yield from lines("test", fold, dsc, **system, **line)
    weak = {"method": "p-cam", "variant": "", "supervision": "image"}
    yield from lines("test", fold, 60, **system, **weak)
    marked = {"method": "sizes", "variant": "", "supervision": "image+size"}
    yield from lines("test", fold, 75, **system, **marked)


def run(path, masks=MASKS, folds=(0,), lacking=()):
    """A run, of which folds in ``lacking`` have no volumes."""
    maps = [line for fold in folds for line in of_maps(fold)]
    volumes = [line for fold in folds if fold not in lacking for line in of_volumes(masks, fold)]
    rows = [line | {"protocol": "validated"} for line in maps if line["subset"] != "val"] + volumes
    for line in volumes:
        line["threshold"] = None
    curves = pd.DataFrame(maps).assign(protocol="validated")
    return run_folder(path, make_rows(rows), curves, splits={str(f): SPLIT for f in folds})


@pytest.fixture
def found(tmp_path):
    return exchange(merge_runs([run(tmp_path / "run")]))


def test_draws_are_averaged_and_all_patients_are_counted(found):
    assert found.bound == {
        1: (2, pytest.approx(0.3)), 2: (2, pytest.approx(0.6)), 4: (1, pytest.approx(0.9)),
    }  # fmt: skip
    assert (found.cells, found.volumes) == ("fold 0, seed 0", 3)


def test_methods_without_masks_stand_beside_them(found):
    told = {
        line.method: (line.what, round(line.dsc, 6), line.worth.patients) for line in found.lines
    }
    assert told == {
        "cam": ("maps", 0.5, pytest.approx(2 ** (2 / 3))),
        "poor": ("maps", 0.2, 0.0),
        "rich": ("maps", 0.95, float("inf")),
        "p-cam": ("segmented volumes", 0.6, pytest.approx(2)),
        "sizes": ("segmented volumes", 0.75, pytest.approx(2**1.5)),
    }
    assert [line.method for line in found.lines] == ["rich", "sizes", "p-cam", "cam", "poor"]


def test_tables(found):
    assert bound_table(found).to_numpy().tolist() == [
        ["1", "2", "30.00"], ["2", "2", "60.00"], ["4", "1", "90.00"],
    ]  # fmt: skip
    table = worth_table(found).set_index("method")
    assert table.loc["cam", ["DSC (%)", "annotated patients"]].tolist() == ["50.00", "1.6"]
    assert table.loc["poor", "annotated patients"] == "< 1"
    assert table.loc["rich", ["annotated patients", "95 % interval"]].tolist() == [
        "> 4", "> 4 to > 4",
    ]  # fmt: skip


def test_what_validation_masks_would_have_bought(found):
    assert found.validation == (2, pytest.approx(0.6))
    assert validation_note(found).startswith("thresholds cost masks of 2 validation patients")
    assert "60.00 % DSC" in validation_note(found)


def test_a_program_is_told_the_same(found):
    told = json.loads(json.dumps(exchange_record(found), allow_nan=False))
    assert [each["patients"] for each in told["masks"]] == [1, 2, 4]
    by_name = {each["method"]: each["patients"] for each in told["methods"]}
    assert by_name["cam"] == pytest.approx(2 ** (2 / 3))
    assert by_name["poor"] == 0
    assert by_name["rich"] is None


def test_folds_without_masks_are_left_out(tmp_path):
    found = exchange(merge_runs([run(tmp_path / "run", folds=(0, 1), lacking=(1,))]))
    assert (found.cells, found.volumes) == ("fold 0, seed 0", 3)
    assert len(found.lines) == 5


@pytest.mark.parametrize("masks", [{}, {"": 90}, {"patients=1": 40, "draw=1 patients=1": 20}])
def test_one_number_of_patients_is_too_few(tmp_path, masks):
    merged = merge_runs([run(tmp_path / "run", masks)])
    assert exchange(merged) is None
    with pytest.raises(ConfigError, match="masks of few patients were not run; give the bench"):
        require_exchange(merged)
