"""``camzoo sanity`` as a user meets it: tables, files, JSON, and faults in one line."""

import json
import shutil

import pytest

from camzoo.core.progress import Quiet
from camzoo.harness.run import bench
from tests.cli.test_app import camzoo, document
from tests.harness.test_run import TINY


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = {
        "methods": ["grad-cam++", "centre"], "training.epochs": 1,
        "evaluation.protocols": ["validated"],
    }  # fmt: skip
    return bench(TINY.changed(settings), tmp_path_factory.mktemp("runs"), Quiet()).folder


def test_tables_are_shown_and_written(monkeypatch, capsys, run, tmp_path):
    words = ["sanity", run, "--cases", "1", "--out", tmp_path / "new" / "out"]
    code, out, err = camzoo(monkeypatch, capsys, *words)
    assert (code, err) == (0, "")
    assert "Where maps lie (fold 0, seed 0, 1 test volume, " in out
    assert "note: noise: Rician noise" in out
    assert "maps disturbed, and of random weights: grad-cam++, centre" in out
    (line,) = (line for line in out.splitlines() if line.startswith(" centre") and "!" in line)
    assert line.split() == ["centre", *["1.00", "!"] * 2, "n/a", *["1.00"] * 4]
    assert {path.name for path in (tmp_path / "new" / "out").iterdir()} == {
        "sanity.json", "sanity.md",
    }  # fmt: skip
    quiet = camzoo(monkeypatch, capsys, *words, "--quiet")
    assert quiet[0] == 0
    assert "note:" not in quiet[1]
    assert "maps disturbed" not in quiet[1]
    assert "Where maps lie" in quiet[1]


def test_a_program_is_told_the_same(monkeypatch, capsys, run, tmp_path):
    words = ["sanity", run, "--fold", "0", "--seed", "0", "--out", tmp_path]
    code, told = document(monkeypatch, capsys, *words)
    assert code == 0
    assert told == json.loads((tmp_path / "sanity.json").read_text(encoding="utf-8"))
    centre = next(line for line in told["methods"] if line["method"] == "centre")
    assert centre["correlation"]["noise"] == pytest.approx(1)
    assert centre["correlation"]["other seed"] is None
    assert "NaN" not in (tmp_path / "sanity.json").read_text(encoding="utf-8")


def fault(monkeypatch, capsys, *words):
    """The only line of an error."""
    code, out, err = camzoo(monkeypatch, capsys, "sanity", *words)
    assert (code, "Traceback" in out + err) == (2, False)
    return " ".join(err.split())


def test_faults_are_told_with_what_to_do(monkeypatch, capsys, run, tmp_path):
    assert "is no finished run" in fault(monkeypatch, capsys, tmp_path)
    assert "has no fold 4; it has fold 0, seed 0" in fault(monkeypatch, capsys, run, "--fold", "4")
    record = shutil.copytree(run, tmp_path / "records" / run.name)  # as leaderboards keep it
    said = fault(monkeypatch, capsys, record)
    assert f"{run.name} has no maps to look at" in said
    assert "with the store beside it, or run the same bench again" in said


def test_a_classifier_that_is_gone_or_damaged_is_told(monkeypatch, capsys, run, tmp_path):
    whole = shutil.copytree(run.parent, tmp_path / "runs")
    (trained,) = (whole / "store" / "train").iterdir()
    with (trained / "classifier.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    said = fault(monkeypatch, capsys, whole / run.name)
    assert "classifier.safetensors" in said
    assert "the same bench again makes it anew" in said
    shutil.rmtree(trained)
    said = fault(monkeypatch, capsys, whole / run.name)
    assert "the classifier of fold 0, seed 0 is not in" in said
    assert "the same bench again makes it" in said
