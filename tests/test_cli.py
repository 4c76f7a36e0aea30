import errno
import json
import subprocess
import sys

import pytest

from camzoo.cams.base import CamMethod, cams
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


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (MemoryError("no more"), 2),
        (OSError(errno.ENOSPC, "No space left on device"), 2),
        (RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: 8 bytes"), 2),
        (SystemExit(7), 0),
        (ValueError("a\n| <script> \x1b[31m |"), 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whose_fault_it_is_decides_how_the_command_ends(monkeypatch, capsys, tmp_path, fault, code):
    class Faulty(CamMethod):
        """Fails in its own way."""

        def saliency(self, view):
            raise fault

    monkeypatch.setitem(cams._targets, "faulty", Faulty)
    words = ["bench", "--dataset", "phantom", "--methods", "centre,faulty", *TINY]
    ended, out, err = camzoo(monkeypatch, capsys, *words, "--out", tmp_path)
    assert ended == code
    assert "Traceback" not in out + err
    runs = list(tmp_path.glob("phantom-smoke-*"))
    if code:
        assert err.startswith("camzoo: the method ")
        assert len(err.strip().splitlines()) == 1
        assert "give the same command again" in err
        assert not runs
    else:
        assert f"faulty failed: {type(fault).__name__}" in out
        page = (runs[0] / "leaderboard.md").read_text(encoding="utf-8")
        assert "<script" not in page
        assert "\x1b" not in page
        assert camzoo(monkeypatch, capsys, "leaderboard", runs[0], "--out", tmp_path / "b")[0] == 0
