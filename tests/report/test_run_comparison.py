"""Differences of two runs by hand, and refusals of what cannot be paired."""

import json
import re

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from camzoo.cli.app import app
from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.core.text import plain
from camzoo.evaluate.rows import make_rows
from camzoo.report.run_comparison import compare_runs
from tests.report.hostile import FRAMED
from tests.report.run_folders import run_folder
from tests.report.test_latex import many
from tests.report.test_segmentation_tables import maps, records
from tests.report.test_titles import A, B, run_of

VALIDATED = {"metric": "dsc", "protocol": "validated"}


def run(folder, name, rows, **changes):
    rows = make_rows([row | {"run": name} for row in rows])
    return run_folder(folder / name, rows, rows[rows["protocol"] != "none"], **changes)


def _number(row):
    return int(re.sub(r"\D", "", row["case"]))


@pytest.fixture
def two(tmp_path):
    """Runs in which ``poor`` gained 0.1, 0, 0.1, ... and ``good`` lost 0.02."""
    moves = {"good": lambda _: -2, "poor": lambda i: 10 * (i % 2 == 0)}
    after = [
        row | {"tp": tp, "dsc": tp / 100}
        for row in many()
        for tp in [row["tp"] + moves[row["method"]](_number(row))]
    ]
    settings = {"training.epochs": 7}
    return run(tmp_path, "r1", many()), run(tmp_path, "r2", after, settings=settings)


def test_differences_by_hand(two):
    found = compare_runs(two, **VALIDATED)
    assert found.sides == ("r1", "r2")
    good, poor = found.lines
    assert (good.method, poor.method) == ("good", "poor")
    assert good.means["difference"] == pytest.approx(-0.02)
    assert poor.means["difference"] == pytest.approx(0.05)
    assert poor.means["second"] - poor.means["first"] == pytest.approx(0.05)
    assert good.interval == pytest.approx((-0.02, -0.02))
    assert poor.interval.low < 0.05 < poor.interval.high
    assert good.p == pytest.approx(2 / 2**12)
    assert poor.p == pytest.approx(2 / 2**6)  # six patients did not move
    assert (good.p_holm, poor.p_holm) == pytest.approx((4 / 2**12, 2 / 2**6))
    moved = poor.values.reset_index()
    assert set(moved["case"][:6]) == {f"test{i}" for i in range(0, 12, 2)}
    assert found.settings == (("training.epochs", *map(str, _epochs(two))),)
    assert found.notes == ()


def _epochs(folders):
    for folder in folders:
        yield json.loads((folder / "manifest.json").read_text("utf-8"))["config"]["training"][
            "epochs"
        ]


def test_p_is_that_of_scipy(tmp_path):
    rng = np.random.default_rng(1)
    steps = (rng.permutation(12) + 1) * rng.choice([-1, 1, 1], 12)
    after = [
        row | {"tp": tp, "dsc": tp / 100}
        for row in many()
        for tp in [row["tp"] + int(steps[_number(row)])]
    ]
    folders = run(tmp_path, "r1", many()), run(tmp_path, "r2", after)
    (line,) = compare_runs(folders, ["poor"], **VALIDATED).lines
    assert line.p == pytest.approx(stats.wilcoxon(steps).pvalue)
    assert line.means["difference"] == pytest.approx(steps.mean() / 100)


def test_two_methods_of_one_run(two):
    found = compare_runs(two[:1], ["poor", "good"], **VALIDATED)
    (line,) = found.lines
    assert line.method == "good against poor"
    assert line.means["difference"] == pytest.approx(0.2)
    assert found.settings == ()
    for methods in ([], ["good"], ["good", "good"]):
        with pytest.raises(ConfigError, match="--method ONE --method OTHER"):
            compare_runs(two[:1], methods, **VALIDATED)


def test_a_baseline_is_not_taken_for_the_map_of_its_name(tmp_path):
    folder = run(tmp_path, "r1", [*maps(), *records()])
    found = compare_runs([folder], ["cam", "baseline c-cam"], **VALIDATED)
    (line,) = found.lines
    assert line.means == pytest.approx(
        {"first": (0.6 + 1 / 3) / 2, "second": 0.66, "difference": 0.66 - (0.6 + 1 / 3) / 2}
    )


def test_a_failure_counts_at_its_worst_and_of_distances_less_is_shown_as_less(tmp_path):
    lost = [
        row | {"tp": 0, "n_pred": 0, "dsc": 0.0, "asd_mm": None, "mad_mm": None}
        | {"status": "empty-pred"} if row["case"] == "test0" else row
        for row in many()
    ]  # fmt: skip
    folders = run(tmp_path, "r1", many()), run(tmp_path, "r2", lost)
    (line,) = compare_runs(folders, ["good"], metric="asd_mm", protocol="validated").lines
    first = line.values.iloc[0]
    assert first.name == ("test0", "test0")
    assert first["second"] == 100.0  # the diagonal


def test_only_shared_cases_are_paired_and_the_rest_is_told(tmp_path):
    fewer = [row for row in many() if row["case"] not in ("test0", "test1")]
    folders = run(tmp_path, "r1", many()), run(tmp_path, "r2", fewer)
    found = compare_runs(folders, **VALIDATED)
    assert [len(line.values) for line in found.lines] == [10, 10]
    assert found.notes == (
        "2 test cases of the first are not among those of the other, and left out",
    )


def test_runs_of_different_data_are_refused(tmp_path):
    folders = run_of(tmp_path, "r1", A), run_of(tmp_path, "r2", B)
    with pytest.raises(ConfigError, match="different data cannot be paired") as refused:
        compare_runs(folders, **VALIDATED)
    assert "content aaaaaaaa and r2 is of acdc, content bbbbbbbb" in str(refused.value)
    older = run(tmp_path, "r3", [row | {"dataset": "chaos"} for row in maps()])
    with pytest.raises(ConfigError, match="r3 is of chaos, content not known: cases of different"):
        compare_runs((folders[0], older), **VALIDATED)


def test_older_runs_are_told_apart_by_their_references(tmp_path):
    other = [row | {"n_ref": 41, "dsc": 2 * row["tp"] / (row["n_pred"] + 41)} for row in maps()]
    folders = run(tmp_path, "r1", maps()), run(tmp_path, "r2", other)
    with pytest.raises(ConfigError, match="has 40 voxels in r1 and 41 in r2"):
        compare_runs(folders, **VALIDATED)


def test_what_cannot_be_compared_is_said_in_a_line(tmp_path, two):
    other = run(
        tmp_path, "r3", [row | {"method": "new"} for row in many() if row["method"] == "good"]
    )
    elsewhere = run(tmp_path, "r4", [row | {"case": "x" + row["case"]} for row in many()])
    for folders, methods, changes, message in (
        ((two[0], two[0]), (), {}, "both folders are the run r1; name two methods"),
        ((*two, other), (), {}, "two runs are compared, got 3"),
        ((two[0], other), (), {}, "share no method: good, poor; and new"),
        ((two[0], elsewhere), (), {}, "share no test case"),
        (two, (), {"protocol": "otsu"}, "no test rows of the protocol otsu, but validated"),
    ):
        with pytest.raises(ConfigError, match=message):
            compare_runs(folders, methods, **VALIDATED | changes)
    with pytest.raises(UnknownNameError, match="unknown method 'god' of r1; did you mean good"):
        compare_runs(two, ["god"], **VALIDATED)
    with pytest.raises(UnknownNameError, match="dscc"):
        compare_runs(two, metric="dscc", protocol="validated")


def test_the_command_prints_tables_or_one_document(tmp_path, two):
    names = [str(folder) for folder in two]
    run(tmp_path, "r1-copy", many())
    shown = CliRunner().invoke(app, ["compare", *names], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    for part in ("DSC (%) of test cases", "-2.00", "5.00", "Cases that moved most", "training.epo"):
        assert part in shown.stdout
    same = CliRunner().invoke(app, ["compare", names[0], names[0] + "-copy"])
    assert "No case moved." in same.stdout
    told = CliRunner().invoke(app, ["compare", *names, "--method", "poor", "--json"])
    document = json.loads(told.stdout)
    (line,) = document["methods"]
    assert line["difference"] == pytest.approx(0.05)
    assert (line["n"], line["n_patients"], len(line["moved"])) == (12, 12, 10)
    assert document["settings"][0]["name"] == "training.epochs"


def test_hostile_names_are_text_in_the_terminal(tmp_path):
    rows = [row | {"method": text} for text in FRAMED.values() for row in maps()]
    folders = [str(run(tmp_path, name, rows)) for name in ("r1", "r2")]
    shown = CliRunner().invoke(app, ["compare", *folders], env={"COLUMNS": "800"})
    assert shown.exit_code == 0, shown.output
    assert all(letter.isprintable() or letter == "\n" for letter in shown.stdout)
    for text in FRAMED.values():
        assert plain(text) in shown.stdout
