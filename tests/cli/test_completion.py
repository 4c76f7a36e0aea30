import os
import subprocess
import sys

import pytest

from camzoo.cli import complete as cli_complete
from camzoo.config import BenchConfig
from camzoo.registries import baselines, cams, datasets
from camzoo.steps.chain import NAMED
from camzoo.steps.selection import SETS


def complete(line):
    """What a press of the tabulator shows after ``camzoo LINE``, in a process as the shell's."""
    words = ["camzoo", *line.split(" ")]
    done = subprocess.run(
        [sys.executable, "-c", "from camzoo.cli.app import main; main()"],
        capture_output=True, text=True, encoding="utf-8", check=False,
        env=os.environ | {
            "_CAMZOO_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        },
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split("\n")


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("be", ["bench"]),
        ("bench --dataset ", datasets.names()),
        ("bench --dataset ch", ["chaos"]),
        ("bench --preset ", ["smoke", "quick", "paper"]),
        ("bench --methods eigen", ["eigen-cam", "eigen-grad-cam"]),
        ("bench --methods cam,cam,eigen-c", ["cam,cam,eigen-cam"]),
        ("bench --baselines size", ["sizeloss"]),
        ("bench --baselines sizeloss,su", ["sizeloss,supervised"]),
        ("bench --set training.ep", ["training.epochs="]),
        ("list data", ["datasets"]),
        ("list ste", ["steps"]),
        ("check finer", ["finer-cam"]),
        ("data check acd", ["acdc"]),
    ],
)
def test_names_are_completed(line, candidates):
    assert [word for word in complete(line) if word] == candidates


def test_all_names_are_candidates():
    methods = [name for name, _ in cli_complete.methods("")]
    assert {*cams, *NAMED, *SETS, "all"} == set(methods)
    assert {*baselines, "all", "none"} == {name for name, _ in cli_complete.baselines("")}
    assert ("phantom", datasets.describe("phantom").summary) in cli_complete.data_set("")
    for name, _ in cli_complete.setting("")[:5]:
        BenchConfig().model_dump()[name.rstrip("=").partition(".")[0]]


def test_what_is_taken_is_not_offered_again():
    assert "cam,grad-cam,cam" not in [name for name, _ in cli_complete.methods("cam,grad-cam,")]


def test_an_error_does_not_reach_the_prompt(monkeypatch):
    monkeypatch.setattr("camzoo.registries.REGISTRIES", {})
    assert cli_complete.data_set("") == []
