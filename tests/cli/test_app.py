import errno
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from camzoo.cams.base import CamMethod, cams
from camzoo.cli.app import main
from camzoo.report.records import FILES
from tests.conftest import ROOT

TINY = [
    "--preset", "smoke", "--option", "patients=6", "--option", "size=64", "--set", "data.size=64",
    "--set", "training.epochs=1",
    "--set", "backbone.name=test_resnet", "--set", "training.crop=64",
    "--set", "training.resize=[64,80]",
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
    again = ["bench", "--config", run / "manifest.json", "--out", runs, "--report"]
    code, _, err = camzoo(monkeypatch, capsys, *again, run)
    assert (code, "something else than a report" in " ".join(err.split())) == (2, True)
    assert not (run / "rows.parquet").exists()  # it is refused before the work
    code, out, _ = camzoo(monkeypatch, capsys, *again, tmp_path / "page")
    assert (code, "to look through it" in out) == (0, False)
    assert f"report: {tmp_path / 'page' / 'index.html'}" in out
    assert (tmp_path / "page" / "index.html").is_file()
    assert (run / "rows.parquet").read_bytes() == rows
    assert len(list(runs.glob("phantom-smoke-*"))) == 1

    code, out, _ = camzoo(monkeypatch, capsys, "leaderboard", run, "--out", boards)
    assert code == 0
    assert (boards / "phantom.md").exists()
    assert camzoo(monkeypatch, capsys, "leaderboard", "--check", "--out", boards)[0] == 0
    assert "[phantom](phantom.md) |" in (boards / "README.md").read_text(encoding="utf-8")
    copied = shutil.copytree(run, tmp_path / "copied")  # its page is read where it stands
    for page in (copied / "leaderboard.md", boards / "phantom.md"):
        again_as_printed(monkeypatch, capsys, page, runs)
        assert (run / "rows.parquet").read_bytes() == rows
    code, out, _ = camzoo(
        monkeypatch, capsys, "leaderboard", run, "--method", "c*", "--sort", "mad_mm", "--json",
    )  # fmt: skip
    lines = json.loads(out)["lines"]
    assert {line["method"] for line in lines} == {"cam", "centre"}
    means = [line["mad_mm"]["mean"] for line in lines]
    assert means == sorted(means, key=lambda mean: math.inf if mean is None else mean)
    (boards / "phantom.md").write_text("edited")
    code, _, err = camzoo(monkeypatch, capsys, "leaderboard", "--check", "--out", boards)
    assert code == 2
    assert "phantom.md is out of date" in err


def again_as_printed(monkeypatch, capsys, page, runs):
    """Give the command of a page in its folder, with the results of before beside it."""
    (said,) = re.findall(r"^- again: `(.+)`$", page.read_text(encoding="utf-8"), re.MULTILINE)
    name, *words = shlex.split(said)
    assert name == "camzoo"
    with monkeypatch.context() as patch:
        patch.chdir(page.parent)
        Path("runs").symlink_to(runs, target_is_directory=True)
        for rows in runs.glob("*/rows.parquet"):
            rows.unlink()
        assert camzoo(patch, capsys, *words)[0] == 0
        Path("runs").unlink()


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
        [sys.executable, "-m", "camzoo", "bench", "--dataset", "x"],
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
    details = camzoo(monkeypatch, capsys, "list", "baselines", "c-cam")[1]
    assert "boundary" in details  # what c-cam costs
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
    for file in (ROOT / "leaderboards" / "records").glob("*/manifest.json"):
        manifest = json.loads(file.read_text(encoding="utf-8"))
        assert manifest["run"] == file.parent.name
        assert manifest["environment"]["commit"] != "unknown"


def document(monkeypatch, capsys, *words):
    """The exit code, and what standard output holds with ``--json``: one document alone."""
    code, out, _ = camzoo(monkeypatch, capsys, *words, "--json")
    return code, json.loads(out)


def test_a_run_is_planned_made_found_and_told_as_json(monkeypatch, capsys, tmp_path):
    runs = tmp_path / "runs"
    words = ["bench", "--dataset", "phantom", "--methods", "cam,centre", *TINY, "--out", runs]
    code, plan = document(monkeypatch, capsys, *words, "--plan")
    assert (code, runs.exists()) == (0, False)
    assert {step["found"] for step in plan["steps"]} == {None}
    assert plan["config"]["training"]["epochs"] == 1
    code, told = document(monkeypatch, capsys, *words)
    assert code == 0
    assert told["run"].startswith(plan["run"].removesuffix("…"))
    assert told["made"] == {"prepare": 1, "train": 1, "maps": 2, "curves": 2, "scores": 2}
    assert told["found"] == {}
    validated = [
        line["dsc"]
        for line in told["results"]
        if (line["method"], line["subset"], line["protocol"]) == ("centre", "test", "validated")
    ]
    assert len(validated) == 1
    assert 0 <= validated[0]["mean"] <= 1
    assert validated[0]["n"] == 2
    code, out, err = camzoo(monkeypatch, capsys, *words)
    assert (code, err) == (0, "")
    assert "classifier, fold 0, seed 0: found (made 20" in out
    assert "maps, fold 0, seed 0: found cam, centre (made 20" in out
    assert "made: nothing; found in the store: slices and tags (1), classifier (1), maps (2)" in out
    code, out, _ = camzoo(monkeypatch, capsys, *words, "--plan")
    assert "in the store: 8 of 8 results" in out
    assert "nothing to make but tables and pictures" in out
    assert camzoo(monkeypatch, capsys, *words, "-q") == (0, f"{runs / told['run']}\n", "")
    assert str(runs / "store" / "train") in " ".join(
        camzoo(monkeypatch, capsys, *words, "--verbose")[1].split()
    )


def test_a_plan_in_words_says_what_is_to_be_made_and_where_times_come_from(
    monkeypatch, capsys, tmp_path
):
    words = ["bench", "--dataset", "phantom", *TINY, "--out", tmp_path / "runs", "--plan"]
    code, out, _ = camzoo(
        monkeypatch, capsys, *words, "--methods", "cam,lpcam", "--baselines", "p-cam",
        "--seeds", "0,1", "--limit", "4",
    )  # fmt: skip
    assert code == 0
    assert "fold 0: cases 2 train, 1 val, 1 test" in out
    assert "cell fold 0, seed 1:" in out
    assert "maps: to make cam, lpcam: at least" in out
    assert "and what these take: lpcam" in out
    assert "measured: one case was read" in out
    assert "GiB at the peak" in out
    assert list(tmp_path.iterdir()) == []


def test_a_limit_takes_some_cases(monkeypatch, capsys, tmp_path):
    words = ["bench", "--dataset", "phantom", *TINY, "--out", tmp_path, "--limit", "4"]
    _, told = document(monkeypatch, capsys, *words)
    manifest = json.loads((tmp_path / told["run"] / "manifest.json").read_text(encoding="utf-8"))
    split = manifest["splits"]["0"]
    assert [len(split[name]) for name in ("train", "val", "test")] == [2, 1, 1]
    assert manifest["config"]["data"]["limit"] == 4
    again = ["bench", "--config", tmp_path / told["run"] / "manifest.json", "--out", tmp_path]
    assert document(monkeypatch, capsys, *again)[1]["made"] == {}


@pytest.mark.parametrize(
    "words",
    [
        ["list", "cams"], ["list", "steps"], ["list", "baselines"], ["list", "datasets"],
        ["settings"], ["settings", "maps.*"], ["doctor"],
        ["data", "check", "phantom", "--option", "patients=2"],
        ["data", "stats", "phantom", "--option", "patients=2"],
    ],
)  # fmt: skip
def test_results_are_one_json_document(monkeypatch, capsys, words):
    code, told = document(monkeypatch, capsys, *words)
    assert code == 0
    assert told


@pytest.mark.parametrize(
    "words",
    [
        ["bench", "--dataset", "nope"], ["bench"], ["list", "nothing"], ["settings", "nothing"],
        ["data", "check", "nope"], ["data", "stats", "acdc", "--root", "/no/such/folder"],
        ["score", "--masks", "/no", "--preds", "/no"], ["score", "--masks", "/no"],
        ["leaderboard", "/no/run"],
    ],
)  # fmt: skip
def test_faults_are_one_json_document_too(monkeypatch, capsys, words):
    code, told = document(monkeypatch, capsys, *words)
    assert code == told["exit_code"] == 2
    assert set(told["error"]) == {"kind", "message"}


ENERGY = """
from camzoo.cams.base import CamMethod
class EnergyCam(CamMethod):
    \"\"\"Energy of the features.\"\"\"
    paper = "none"
    print("imported")
    def saliency(self, view):
        print("asked")
        return view.features.square().mean(1, keepdim=True).expand(-1, view.logits.shape[1], -1, -1)
"""
BLANK = """
from camzoo.segment.base import PseudoMaskBaseline
class BlankMasks(PseudoMaskBaseline):
    title = paper = cost = "none"
    def pseudo_masks(self, context):
        return context.train.images(slice(None)).numpy() * 0
"""


def test_plugins_in_a_file_are_benched_as_they_are_checked_and_again_from_the_manifest(tmp_path):
    """As a user would: in a folder of one's own, each command in a new process."""
    (tmp_path / "my_cams.py").write_text(ENERGY)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "blank.py").write_text(BLANK)

    def run(*words):
        return subprocess.run(
            [sys.executable, "-c", "from camzoo.cli.app import main; main()", *words],
            capture_output=True, text=True, encoding="utf-8", check=False, cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    small = ["--set", "segmentation.side=32", "--set", "segmentation.widths=8,8,8,16,16",
             "--set", "segmentation.epochs=1",
             "--set", "training.precision=fp32",
             "--set", "segmentation.precision=fp32"]  # fmt: skip
    done = run("bench", "--dataset", "phantom", *TINY, *small, "--json", "--methods",
               "cam,my_cams:EnergyCam", "--baselines", "sub/blank.py:BlankMasks")  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["failures"] == {}
    assert {line["method"] for line in told["results"]} == {"cam", "energy-cam", "blank-masks"}
    folder = tmp_path / "runs" / told["run"]
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["config"]["plugins"] == ["my_cams:EnergyCam", "blank.py:BlankMasks"]
    assert {"imported", "asked"} <= set(done.stderr.splitlines())  # not the result
    quiet = run("bench", "--config", str(folder / "manifest.json"), "-q",
                "--set", "plugins=my_cams:EnergyCam,sub/blank.py:BlankMasks")  # fmt: skip
    assert quiet.stdout == f"{Path('runs') / told['run']}\n"
    (tmp_path / "my_cams.py").write_text(ENERGY.replace("square()", "abs()"))
    edited = run("bench", "--config", str(folder / "manifest.json"), "--json",
                 "--set", "plugins=my_cams:EnergyCam,sub/blank.py:BlankMasks")  # fmt: skip
    assert json.loads(edited.stdout)["made"] == {"maps": 1, "curves": 1, "scores": 1}


def test_a_run_that_is_interrupted_goes_on_when_the_command_is_given_again(tmp_path):
    longer = ["training.epochs=6" if word == "training.epochs=1" else word for word in TINY]
    command = [
        sys.executable, "-c", "from camzoo.cli.app import main; main()", "bench", "--dataset",
        "phantom", *longer, "--set", "training.precision=fp32", "--out", str(tmp_path),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "store" / "train").glob(".work-*/checkpoint.safetensors")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == (
        "camzoo: stopped by SIGINT; what is finished is kept, and the same command goes on from "
        "there\n"
    )
    assert not list((tmp_path / "store").glob("*/*/.*.partial"))
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout)["found"] == {"prepare": 1}
    (made,) = (tmp_path / "store" / "train").glob("[!.]*/made.json")
    assert json.loads(made.read_text("utf-8"))["resumed"] is True


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

    words = ["bench", "--dataset", "phantom", "--methods", "centre,faulty", *TINY]
    with cams.temporary({"faulty": Faulty}):
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
