"""Settings that folds choose on validation patients: by hand, from records of runs."""

import json

import pandas as pd
import pytest

from camzoo.core.errors import ConfigError
from camzoo.evaluate.rows import make_rows
from camzoo.metrics.overlap import dice
from camzoo.report.merged import merge
from camzoo.report.merged_runs import merge_runs
from camzoo.report.records import read_record
from camzoo.report.tuned import (
    choice_table,
    require_tuned,
    tuned,
    tuned_record,
    tuned_table,
)
from tests.report.run_folders import run_folder

CELL = {
    "dataset": "acdc", "seed": 0, "backbone": "resnet50", "supervision": "image",
    "stage": "pseudo-mask", "organ": "left ventricle", "split": "patient",
}  # fmt: skip
#: True positives of 100 voxels, of a mask of 100: the DSC in percent. By variant and fold, of the
#: validation and of the test patients; thresholds are 0.4 and 0.5.
SCORES = {
    "": {0: ([50, 60], 70), 1: ([40, 30], 44)},
    "rate=2": {0: ([55, 20], 90), 1: ([10, 52], 62)},
}
#: The rest of a row, the same in all.
VALIDATED = {
    "protocol": "validated", "threshold": 0.5, "region": "whole", "status": "ok", "asd_mm": 1.0,
    "mad_mm": 1.0, "diagonal_mm": 50.0,
}  # fmt: skip
#: What each fold chooses: the default in fold 0 (60 against 55), though the other tests better.
CHOSEN = {0: "", 1: "rate=2"}


def counts(dsc):
    return {"tp": dsc, "n_pred": 100, "n_ref": 100, "dsc": float(dice(dsc, 100, 100))}


def lines(scores, run="run", method="ours"):
    """Rows of test patients, and curves of validation patients."""
    rows, curves = [], []
    for variant, folds in scores.items():
        for fold, (seen, tested) in folds.items():
            line = CELL | {"run": run, "method": method, "variant": variant, "fold": fold}
            for i in range(2):
                case = {"case": f"t{fold}{i}", "patient": f"t{fold}{i}", "subset": "test"}
                number = counts(tested + 2 * i - 1)
                rows.append(line | case | VALIDATED | number)
                curves += [line | case | {"threshold": t} | number for t in (0.4, 0.5)]
            for threshold, dsc in zip((0.4, 0.5), seen, strict=True):
                case = {"case": f"v{fold}", "patient": f"v{fold}", "subset": "val"}
                curves.append(line | case | {"threshold": threshold} | counts(dsc))
    return make_rows(rows), pd.DataFrame(curves).assign(protocol="validated")


def splits_of(folds, *more):
    return {
        str(fold): {"train": [], "val": [f"v{fold}", *more], "test": [f"t{fold}0", f"t{fold}1"]}
        for fold in folds
    }


def record(path, scores, **changes):
    rows, curves = lines(scores, run=path.name)
    splits = splits_of(sorted(set(rows["fold"])))
    return run_folder(path, rows, curves, **({"splits": splits} | changes))


@pytest.fixture
def run(tmp_path):
    return record(tmp_path / "run", SCORES)


def test_folds_choose_and_their_test_patients_are_scored(run):
    (one,) = tuned(merge([read_record(run)]))
    chosen = one.choices[one.choices["chosen"]]
    assert dict(zip(chosen["fold"], chosen["variant"], strict=True)) == CHOSEN
    assert one.choices["score"].tolist() == pytest.approx([60, 55, 40, 52])
    assert one.summary()["mean"] == pytest.approx((0.70 + 0.62) / 2)
    assert one.summary()["n"] == 4
    assert {name: line["mean"] for name, line in one.each().items()} == pytest.approx(
        {"as it is": (0.70 + 0.44) / 2, "rate=2": (0.90 + 0.62) / 2}
    )


def test_tables_say_what_was_chosen_and_what_hindsight_would_have(run):
    found = tuned(merge([read_record(run)]))
    (line,) = tuned_table(found).to_dict("records")
    assert line["chosen: DSC (%)"].startswith("66.00 ± ")
    assert line["best in hindsight"] == "76.00 (rate=2)"
    assert line["worst"] == "57.00 (as it is)"
    assert (line["settings"], line["cells"], line["volumes"]) == ("2", "2", "4")
    assert choice_table(found)[["fold", "chosen", "validation DSC (%)"]].to_numpy().tolist() == [
        ["0", "as it is", "as it is 60.00; rate=2 55.00"],
        ["1", "rate=2", "as it is 40.00; rate=2 52.00"],
    ]
    told = json.loads(json.dumps(tuned_record(found[0])))
    assert [choice["chosen"] for choice in told["choices"]] == [True, False, False, True]
    assert told["chosen"]["mean"] == pytest.approx(0.66)


def test_settings_of_two_runs_are_chosen_among(tmp_path):
    first = record(tmp_path / "first", {"": SCORES[""]})
    second = record(tmp_path / "second", {"": SCORES["rate=2"]}, settings={"training.lr": 0.5})
    (one,) = tuned(merge_runs([first, second]))
    assert sorted(one.candidates) == ["lr 0.1", "lr 0.5"]
    assert one.summary()["mean"] == pytest.approx(0.66)


def test_a_cell_that_one_lacks_is_left_out(tmp_path):
    lacking = SCORES | {"rate=2": {1: SCORES["rate=2"][1]}}
    (one,) = tuned(merge([read_record(record(tmp_path / "run", lacking))]))
    assert one.choices["fold"].unique().tolist() == [1]
    assert one.summary()["mean"] == pytest.approx(0.62)
    assert one.each()["as it is"]["mean"] == pytest.approx(0.44)


def test_runs_of_other_patients_are_refused(tmp_path):
    first = record(tmp_path / "first", SCORES)
    moved = splits_of([0]) | splits_of([1], "another")
    second = record(tmp_path / "second", SCORES, splits=moved)
    with pytest.raises(
        ConfigError, match="fold 1 of first and of second are of different patients"
    ):
        merge_runs([first, second])


@pytest.mark.parametrize(
    "scores",
    [
        {"": SCORES[""]},
        {"": SCORES[""], "same": SCORES[""]},
        {"": {0: SCORES[""][0]}, "rate=2": {1: SCORES["rate=2"][1]}},
    ],
    ids=["one setting", "settings that change nothing", "settings of other folds"],
)
def test_where_there_is_nothing_to_choose_it_is_said(tmp_path, scores):
    merged = merge([read_record(record(tmp_path / "run", scores))])
    assert tuned(merged) == []
    with pytest.raises(ConfigError, match="no method has several settings with maps"):
        require_tuned(merged)


def test_the_score_is_that_of_pooled_voxels(tmp_path):
    """60 of 100 voxels of one patient and none of 900 of another are 6 %, not the mean of 30 %."""
    rows, curves = lines(SCORES)
    seen = curves[curves["subset"] == "val"]
    large = seen.assign(case="w", patient="w", n_ref=900, n_pred=900, tp=0, dsc=0.0)
    path = tmp_path / "run"
    both = pd.concat([curves, large], ignore_index=True)
    (one,) = tuned(
        merge([read_record(run_folder(path, rows, both, splits=splits_of([0, 1], "w")))])
    )
    assert one.choices["score"].max() == pytest.approx(6.0)
