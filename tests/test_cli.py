import json
import subprocess
import sys

import pytest

from camzoo.cli import main
from camzoo.report.records import FILES

TINY = [
    "--preset", "smoke", "--option", "patients=6", "--option", "size=64", "--set", "data.size=64",
    "--set", "training.epochs=1", "--set", "training.crop=64", "--set", "training.resize=[64,80]",
    "--set", "maps.side=64", "--set", "maps.size=32", "--device", "cpu",
]  # fmt: skip


def camzoo(monkeypatch, capsys, *words):
    """Run the command line in this process: exit code, what it printed, what it complained of."""
    monkeypatch.setattr(sys, "argv", ["camzoo", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return ended.value.code or 0, printed.out, printed.err


def test_bench_ends_with_a_leaderboard_and_leaderboard_takes_it_in(monkeypatch, capsys, tmp_path):
    runs, boards = tmp_path / "runs", tmp_path / "boards"
    code, out, _ = camzoo(
        monkeypatch, capsys, "bench", "--dataset", "phantom", "--methods", "cam,centre",
        *TINY, "--out", runs,
    )  # fmt: skip
    assert code == 0
    assert "Pseudo-masks of the training slices, pooled DSC (%)" in out
    (run,) = runs.glob("phantom-smoke-*")
    assert {*FILES, "leaderboard.md", "gallery.png", "times.json"} <= {
        p.name for p in run.iterdir()
    }
    assert "| centre |" in (run / "leaderboard.md").read_text(encoding="utf-8")

    rows = (run / "rows.parquet").read_bytes()
    (run / "rows.parquet").unlink()
    again = ["bench", "--config", run / "manifest.json", "--out", runs]
    assert camzoo(monkeypatch, capsys, *again)[0] == 0
    assert (run / "rows.parquet").read_bytes() == rows
    assert len(list(runs.glob("phantom-smoke-*"))) == 1

    code, out, _ = camzoo(monkeypatch, capsys, "leaderboard", run, "--out", boards)
    assert code == 0
    assert (boards / "phantom.md").exists()
    assert camzoo(monkeypatch, capsys, "leaderboard", "--check", "--out", boards)[0] == 0
    (boards / "phantom.md").write_text("edited")
    code, _, err = camzoo(monkeypatch, capsys, "leaderboard", "--check", "--out", boards)
    assert code == 2
    assert "phantom.md is out of date" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "promise"], "unknown data set 'promise'"),
        (["--dataset", "phantom", "--methods", "gradcam"], "did you mean grad-cam"),
        (["--dataset", "phantom", "--baselines", "supervise"], "did you mean supervised"),
        (["--dataset", "phantom", "--backbone", "resnet10x"], "unknown backbone 'resnet10x'"),
        (["--dataset", "phantom", "--weights", "/no/such.pth"], "no weights at /no/such.pth"),
        (["--dataset", "phantom", "--preset", "huge"], "unknown preset 'huge'"),
        (
            ["--dataset", "phantom", "--set", "training.epoch=3"],
            "did you mean training.epochs?",
        ),
        (["--dataset", "phantom", "--set", "maps.xxxxxx=3"], "known: maps.side, maps.scales"),
        ([], "either --dataset or --config"),
        (["--dataset", "phantom", "--config", "m.json"], "either --dataset or --config"),
        (["--config", "m.json", "--preset", "quick"], "leave --preset out"),
        (["--config", "/no/manifest.json"], "holds no settings of a run (FileNotFoundError"),
        (["--dataset", "phantom", "--seeds", "a"], "--seeds takes numbers"),
        (["--dataset", "phantom", "--split", "random"], "data.split"),
        (["--dataset", "phantom", "--seeds", ""], "--seeds takes numbers"),
        (["--dataset", "phantom", "--seeds", "0,1,0"], "seeds: takes each value once, and 0"),
        (["--dataset", "phantom", "--seeds=-1"], "seeds.0: takes a whole number from 0 to"),
        (["--dataset", "phantom", "--folds", "0,0"], "data.folds: takes each value once"),
        (["--dataset", "phantom", "--device", "cpu:7"], "device: takes auto, cpu, cuda or cuda:N"),
        (["--dataset", "phantom", "--set", "seeds=[]"], "seeds: takes 1 value or more, got []"),
        (["--dataset", "phantom", "--set", "data.folds=[]"], "data.folds: takes 1 value or more"),
        (["--dataset", "phantom", "--set", "preset=../../x"], "preset: takes a name of at most 64"),
        (["--dataset", "phantom", "--set", "preset=/abs"], "preset: takes a name of at most 64"),
        (["--dataset", "phantom", "--set", "maps.scales=[1e9]"], "from 0.1 to 10, got 1000000000"),
        (["--dataset", "phantom", "--set", "data.percentiles=[99,1]"], "the smaller one first"),
        (["--dataset", "phantom", "--set", "data.size=1"], "from 8 to 4096, in pixels, got 1"),
        (["--dataset", "phantom", "--set", "training.lr=Infinity"], "training.lr: takes a number"),
        (["--dataset", "phantom", "--set", "backbone.std=[0,1,1]"], "backbone.std.0: takes a"),
        (["--dataset", "phantom", "--set", "threads=999999"], "threads: takes a whole number"),
        (["--dataset", "phantom", "--set", "backbone.output_stride=7"], "output_stride: takes 1,"),
        (
            ["--dataset", "phantom", "--baselines", "p-cam:method=nope"],
            "baseline p-cam:method=nope reads maps of 'nope': unknown CAM method 'nope'",
        ),
        (
            ["--dataset", "phantom", "--set", 'baselines=["p-cam:method=nope"]'],
            "baseline p-cam:method=nope reads maps of 'nope': unknown CAM method 'nope'",
        ),
        (
            ["--dataset", "phantom", "--set", 'baselines=["sizeloss:weight=no"]'],
            "sizeloss: weight is of type float, got 'no'",
        ),
        (["--dataset", "phantom", "--set", 'methods=["cam","cam"]'], "methods: takes each value"),
        (["--dataset", "phantom", "--set", 'methods=["cam","p-cam"]'], "are one and the same"),
        (["--dataset", "acdc", "--root", "/no/such/folder"], "--dataset phantom"),
    ],
)
def test_faults_of_the_user_end_with_2_and_one_message(
    monkeypatch, capsys, tmp_path, words, message
):
    runs = tmp_path / "runs"
    code, out, err = camzoo(
        monkeypatch, capsys, "bench", *words, *(w for w in ["--out", str(runs)]),
    )  # fmt: skip
    assert code == 2
    assert message in " ".join(err.split())
    assert "Traceback" not in out + err
    assert not runs.exists()


def test_no_traceback_reaches_the_shell():
    done = subprocess.run(
        [sys.executable, "-c", "from camzoo.cli import main; main()", "bench", "--dataset", "x"],
        capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("camzoo: unknown data set 'x'")
    assert "Traceback" not in done.stderr


def test_listing(monkeypatch, capsys):
    code, out, _ = camzoo(monkeypatch, capsys, "list", "cams", "grad-*")
    assert code == 0
    assert "grad-cam++" in out
    assert "eigen-cam" not in out
    assert "phantom" in camzoo(monkeypatch, capsys, "list", "datasets")[1]
    code, out, _ = camzoo(monkeypatch, capsys, "list", "baselines", "*-cam")
    assert code == 0
    assert "p-cam" in out
    assert "boundary" in out  # what c-cam costs
    assert "supervised" not in out
    assert "patient=(.+)" in camzoo(monkeypatch, capsys, "list", "datasets", "nnunet")[1]
    code, _, err = camzoo(monkeypatch, capsys, "list", "baselines", "xyz*")
    assert (code, "no baselines match 'xyz*'" in err) == (2, True)
    code, _, err = camzoo(monkeypatch, capsys, "list", "everything")
    assert (code, "unknown kind" in err) == (2, True)


def test_doctor_looks_at_what_numbers_depend_on(monkeypatch, capsys):
    code, out, _ = camzoo(monkeypatch, capsys, "doctor")
    assert code == 0
    assert "ok      torch:" in out
    assert "ok      baselines:" in out
    assert "PROBLEM" not in out


def test_the_leaderboards_of_the_project_agree_with_their_rows(monkeypatch, capsys):
    code, out, err = camzoo(monkeypatch, capsys, "leaderboard", "--check")
    assert (code, err) == (0, "")
    assert "agrees with its rows" in out


def test_manifests_of_the_project_are_whole():
    from tests.conftest import ROOT

    for file in (ROOT / "leaderboards" / "records").glob("*/manifest.json"):
        manifest = json.loads(file.read_text(encoding="utf-8"))
        assert manifest["run"] == file.parent.name
        assert manifest["environment"]["commit"] != "unknown"
