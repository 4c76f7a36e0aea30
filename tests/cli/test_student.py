"""``camzoo student`` as a user meets it."""

import pytest

from tests.cli.test_app import camzoo, document
from tests.students.conftest import run  # noqa: F401 - a fixture
from tests.students.test_nnunet import programs  # noqa: F401 - a fixture


@pytest.fixture
def out(tmp_path):
    return tmp_path / "nnUNet_raw" / "Dataset007_Gland"


def test_the_commands_are_shown_and_told(monkeypatch, capsys, run, out):  # noqa: F811
    words = ["student", run, "--out", out]
    code, text, err = camzoo(monkeypatch, capsys, *words, "--method", "cam", "--quiet")
    assert (code, err) == (0, "")
    first, *lines = text.splitlines()
    assert f"{out}: 3 training cases with maps of cam, cut at the validated threshold" in first
    assert [line.split()[0] for line in lines] == [
        "export", "nnUNetv2_plan_and_preprocess", "nnUNetv2_train", "nnUNetv2_predict", "camzoo",
    ]  # fmt: skip
    words[-1] = out.with_name("Dataset008_Gland")
    code, told = document(monkeypatch, capsys, *words, "--baseline", "affinitynet")
    assert (code, told["labels"]) == (0, "labels that the baseline affinitynet drew")
    assert len(told["commands"]) == len(lines)


def test_it_is_trained_and_scored(monkeypatch, capsys, run, programs, out):  # noqa: F811
    """What stands in for nnU-Net here predicts the references."""
    words = ["student", run, "--out", out, "--method", "cam", "--train"]
    code, text, _ = camzoo(monkeypatch, capsys, *words)
    assert code == 0
    assert "nnU-Net on the test cases" in text
    assert "100.00" in text
    words[3] = out.with_name("Dataset008_Gland")
    code, told = document(monkeypatch, capsys, *words)
    assert (code, told["results"][0]["dsc"]["mean"]) == (0, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give either --method or --baseline"),
        (["--method", "cma"], "unknown method 'cma'; did you mean cam?"),
        (["--method", "cam", "--fold", "3"], "has no fold 3; it has fold 0, seed 0"),
        (["--method", "cam", "--device", "tpu"], "unknown device 'tpu'"),
    ],
)
def test_faults(monkeypatch, capsys, run, out, words, message):  # noqa: F811
    code, text, err = camzoo(monkeypatch, capsys, "student", run, "--out", out, *words)
    assert (code, "Traceback" in text + err) == (2, False)
    assert message in " ".join(err.split())
    assert not out.exists()
