"""Tables of ranks: intervals, podium, agreement; who is ranked and who is not."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from camzoo.cli.app import app
from camzoo.evaluate.rows import make_rows
from camzoo.metrics.ranking_schemes import SCHEMES
from camzoo.report.leaderboards import update_leaderboards
from camzoo.report.merged import merge
from camzoo.report.ranks import ASKED, agreement_table, rank_record, rank_table, rankings
from camzoo.report.records import read_record
from tests.report.run_folders import run_folder

PATIENTS = 14
#: Voxels in both masks of 100 and 100, by method; the last saw masks.
HITS = {"good": 80, "alike": 80, "bad": 30, "supervised": 99}


def records(protocol="validated", stage="pseudo-mask"):
    for number, (method, hits) in enumerate(HITS.items()):
        rng = np.random.default_rng(number)
        for i in range(PATIENTS):
            tp = int(np.clip(hits + rng.integers(-5, 6), 0, 100))
            # By the distance the bad one is the best: metrics do not agree.
            distance = 1.0 + (method != "bad") + 0.1 * rng.random()
            yield {
                "run": "r", "dataset": "acdc", "split": "patient", "fold": 0, "seed": 0,
                "backbone": "resnet50", "stage": stage, "method": method, "variant": "",
                "supervision": "mask" if method == "supervised" else "image", "subset": "test",
                "organ": "o", "region": "whole", "case": f"c{i}", "patient": f"p{i}",
                "protocol": protocol, "threshold": 0.5 if protocol != "none" else None, "tp": tp,
                "n_pred": 100, "n_ref": 100, "dsc": tp / 100, "asd_mm": distance,
                "mad_mm": distance, "diagonal_mm": 90.0, "status": "ok", "spacing_z": 3.0,
                "spacing_y": 1.0, "spacing_x": 1.0,
            }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    train = [row | {"subset": "train", "case": f"t{row['case']}", "patient": f"t{row['patient']}"}
             for protocol in ("validated", "oracle") for row in records(protocol)]  # fmt: skip
    rows = make_rows([*records(), *records("oracle"), *train])
    return run_folder(tmp_path / "run", rows, rows[rows["protocol"] == "oracle"])


@pytest.fixture
def rows(folder):
    (found,) = rankings(merge([read_record(folder)])).values()
    return found


def test_what_saw_masks_is_not_ranked(rows):
    assert sorted(rows["method"].unique()) == ["alike", "bad", "good"]
    assert set(rows["protocol"]) == {"validated"}


def test_ranks_stand_with_their_intervals(rows):
    lines = rank_table(rows, ASKED).set_index("method")
    assert list(lines) == [
        "DSC", "DSC: first three", "ASD", "ASD: first three", "MAD", "MAD: first three",
    ]  # fmt: skip
    assert lines.loc["bad", ["DSC", "ASD"]].tolist() == ["3 (3 to 3)", "1 (1 to 1)"]
    assert sorted(lines.loc[["good", "alike"], "DSC"]) == ["1 (1 to 2)", "2 (1 to 2)"]
    assert set(lines["DSC: first three"]) == {"100 %"}


def test_metrics_that_do_not_agree_say_so(rows):
    lines = agreement_table(rows, ["dsc", "asd_mm"]).set_index("ranking")
    assert lines.loc["DSC", "DSC"] == lines.loc["ASD", "ASD"] == "1.00"
    assert float(lines.loc["DSC", "ASD"]) < 0
    assert list(lines) == ["DSC", "ASD", *list(SCHEMES)[1:]]


def test_numbers_for_programs_hold_the_pairs_and_every_scheme(rows):
    found = rank_record(rows, ["dsc"])["dsc"]
    assert found["methods"]["bad"]["rank_low"] == 3
    assert found["schemes"]["rank, then mean"]["bad"] == 3
    assert found["p"]["methods"][2] == "bad"
    assert max(found["p"]["values"][2][:2]) < 0.05
    assert found["p"]["values"][0][1] > 0.05


def test_the_page_shows_ranks_and_ladder(folder, tmp_path):
    (page,) = update_leaderboards([folder], tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert "### Ranks of maps of the test patients" in text
    assert "### The ladder of protocols: maps" in text
    assert "| bad | 3 (3 to 3) |" in text


def test_the_commands_print_tables_and_json(folder):
    shown = CliRunner().invoke(app, ["ranks", str(folder), "--metrics", "asd_mm"])
    assert shown.exit_code == 0
    assert "1 (1 to 1)" in shown.stdout
    found = json.loads(CliRunner().invoke(app, ["ranks", str(folder), "--json"]).stdout)
    assert found["maps"]["dsc"]["methods"]["bad"]["rank"] == 3
    shown = CliRunner().invoke(app, ["ladder", str(folder), "--by-method"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "slices, empty = 1" in shown.stdout
    found = json.loads(CliRunner().invoke(app, ["ladder", str(folder), "--json"]).stdout)
    assert found["r"][0]["dsc"]["volumes"]["methods"]["good"] == pytest.approx(80, abs=3)
