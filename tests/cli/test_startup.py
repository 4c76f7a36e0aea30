"""What is asked for in words is answered at once: nothing that takes seconds is imported for it."""

import json
import os
import subprocess
import sys

import pytest

#: Packages of a tenth of a second or more, and those that bring them.
HEAVY = [
    "torch", "timm", "torchvision", "monai", "pandas", "pyarrow", "matplotlib", "SimpleITK",
    "scipy", "pytorch_grad_cam", "nibabel", "pooch", "sklearn",
]  # fmt: skip
BENCH = ["bench", "--dataset", "phantom"]
#: Commands, and what each says.
ANSWERS = [
    (["--version"], 0, "camzoo 0."),
    (["--help"], 0, "Usage: camzoo"),
    (["bench", "--help"], 0, "--methods"),
    (["layers", "--help"], 0, "--depth"),
    (["score", "--help"], 0, "--masks"),
    (["data", "check", "--help"], 0, "--root"),
    (["list"], 0, "ablation-cam"),
    (["list", "--all"], 0, "gradcam:GradCAM "),
    (["list", "cams", "eigen*"], 0, "eigen-grad-cam"),
    (["list", "baselines"], 0, "supervised"),
    (["list", "datasets"], 0, "acdc"),
    (["list", "steps"], 0, "blend"),
    (["list", "c-cam"], 0, "short for cam[cc,ac,aff]"),
    (["list", "phantom"], 0, "camzoo.data.datasets.phantom:Phantom"),
    (["list", "datsets"], 2, "unknown kind or name 'datsets'; did you mean datasets?"),
    (["list", "cams", "grid*"], 2, "no cams match 'grid*'"),
    ([*BENCH, "--methods", "gradcam"], 2, "CAM method 'gradcam'; did you mean grad-cam or"),
    ([*BENCH, "--methods", "cam,c-can"], 2, "unknown CAM method 'c-can'; did you mean c-cam?"),
    ([*BENCH, "--methods", "cam[acc]"], 2, "unknown step 'acc'; did you mean cc or ac?"),
    ([*BENCH, "--methods", "cam[ac]:tou=1"], 2, "unknown setting 'tou' of the steps of"),
    ([*BENCH, "--methods", "grid*"], 2, "no CAM method fits 'grid*'"),
    ([*BENCH, "--baselines", "supervise"], 2, "'supervise'; did you mean supervised?"),
    ([*BENCH, "--baselines", "sizeloss:wait=1"], 2, "of baseline sizeloss; did you mean weight"),
    ([*BENCH, "--set", "training.epoch=3"], 2, "setting 'training.epoch'; did you mean train"),
    ([*BENCH, "--set", "epochs=3"], 2, "did you mean training.epochs or segmentation.epochs"),
    ([*BENCH, "--set", "training.epochs=0"], 2, "training.epochs: takes a whole number"),
    ([*BENCH, "--option", "patient=3"], 2, "'patient' of data set 'phantom'; did you mean pat"),
    ([*BENCH, "--preset", "smok"], 2, "unknown preset 'smok'; did you mean smoke?"),
    ([*BENCH, "--backbone", "resnet81"], 2, "backbone 'resnet81' of timm; did you mean resn"),
    (["layers", "resnet81"], 2, "unknown backbone 'resnet81' of timm; did you mean resnet"),
    (["check", "grad-can"], 2, "unknown CAM method or baseline 'grad-can'; did you mean grad-cam"),
    ([*BENCH, "--seeds", "one"], 2, "--seeds takes numbers"),
    (["bench", "--dataset", "phantim"], 2, "unknown data set 'phantim'; did you mean phantom?"),
    (["bench"], 2, "either --dataset or --config"),
    (["data", "check", "chaoss"], 2, "unknown data set 'chaoss'; did you mean chaos?"),
    (["data", "stats", "phantom", "--option", "sed=1"], 2, "'sed' of data set 'phantom'; did you"),
    (["data", "fetch", "promry", "--root", "x"], 2, "unknown data set 'promry'; did you mean pro"),
    (["score", "--masks", "x"], 2, "give either --maps"),
    (["score", "--masks", "x", "--maps", "y", "--normalise", "minmx"], 2, "did you mean minmax?"),
]  # fmt: skip
#: Runs commands one after the other, and says of each how it ended and what it has imported.
RUN = """
import contextlib, io, json, sys
from camzoo.cli.app import main

commands, heavy = json.loads(sys.argv[1])
for words in commands:
    sys.argv[1:] = words
    printed, code = io.StringIO(), None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    imported = [name for name in heavy if name in sys.modules]
    print(json.dumps([code, printed.getvalue(), imported]))
"""


@pytest.fixture(scope="module")
def answers():
    commands = json.dumps([[words for words, _, _ in ANSWERS], HEAVY])
    done = subprocess.run(
        [sys.executable, "-c", RUN, commands], capture_output=True, text=True, encoding="utf-8",
        check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("position", range(len(ANSWERS)), ids=[" ".join(a[0]) for a in ANSWERS])
def test_an_answer_in_words_imports_nothing_heavy(answers, position):
    _, code, text = ANSWERS[position]
    ended, printed, imported = answers[position]
    assert text in printed
    assert (ended, imported) == (code, [])
    if code:
        assert printed.startswith("camzoo: ")
        assert len(printed.splitlines()) <= 2


def test_the_packages_are_called_heavy_by_their_right_names():
    """A name that no longer exists would let the test above pass for nothing."""
    code = f"import importlib.util; print([n for n in {HEAVY} if not importlib.util.find_spec(n)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("words", [["--help"], ["bench", "--help"], ["list", "baselines"]])
def test_answers_are_given_in_any_locale(words):
    posix = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code = "from camzoo.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, check=False,
        env=os.environ | posix,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


def test_registries_are_imported_in_a_moment():
    code = f"import sys, camzoo.registries; print([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
