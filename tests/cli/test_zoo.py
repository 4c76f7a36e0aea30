import pytest
import typer
from typer.testing import CliRunner

from camzoo.cli import zoo as cli_zoo
from camzoo.conformance.kit import Result
from camzoo.core.errors import ConfigError
from camzoo.registries import baselines, cams
from camzoo.segment.base import Baseline

app = typer.Typer()
app.command()(cli_zoo.layers)
app.command()(cli_zoo.check)


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_layers(monkeypatch):
    monkeypatch.setattr(cli_zoo.console, "width", 80)
    result = run("layers", "resnet18", "--height", "224", "--width", "160")
    assert result.exit_code == 0
    row = next(line for line in result.output.splitlines() if " layer3 " in line)
    assert row.split() == ["layer3", "Sequential", "256", "14", "x", "10", "16", "x", "16"]
    last = next(line for line in result.output.splitlines() if "(before the pooling)" in line)
    assert last.split()[0] == "*"
    assert result.output.count("*") == 2  # and in the caption


def test_check_passes_and_fails(tmp_path, monkeypatch):
    (tmp_path / "new_method.py").write_text(
        "from camzoo.cams.base import CamMethod\n"
        "class Fine(CamMethod):\n"
        "    def saliency(self, view):\n"
        "        return view.gradients().sum(2)\n"
        "class Flat(CamMethod):\n"
        "    def saliency(self, view):\n"
        "        return view.features[:, 0]\n"
    )
    monkeypatch.chdir(tmp_path)
    fine = run("check", "new_method:Fine")
    assert fine.exit_code == 0
    assert "13 of 13 checks passed" in fine.output
    flat = run("check", "new_method:Flat")
    assert flat.exit_code == 1
    assert "FAIL  shape [B, C, h, w]" in flat.output
    assert "expected [3, 4, h, w], got [3, 3, 2]" in flat.output


def test_names_and_places_are_found():
    assert cli_zoo._found("cam", "") is cams.get("cam")
    assert cli_zoo._found("gradcam:GradCAM", "cam") is cams.get("gradcam:GradCAM")
    assert cli_zoo._found("irnet", "") is baselines.get("irnet")
    assert cli_zoo._found("centre", "") is cams.get("centre")
    assert cli_zoo._found("centre", "baseline") is baselines.get("centre")
    assert cli_zoo._found(f"{__name__}:Word", "baseline") is Word
    with pytest.raises(ConfigError, match="baseline 'grad-can'; did you mean grad-cam"):
        cli_zoo._found("grad-can", "")
    for place in ("nowhere:Method", f"{__name__}:Missing", ":"):
        with pytest.raises(ConfigError, match="nothing at"):
            cli_zoo._found(place, "")
    with pytest.raises(ConfigError, match="is no class"):
        cli_zoo._found(f"{__name__}:run", "")
    with pytest.raises(ConfigError, match="--kind takes cam or baseline, got 'map'"):
        cli_zoo._found("cam", "map")


class Word(Baseline):
    """Stands for a baseline under development."""

    def fit(self, context):
        raise NotImplementedError

    def predict(self, images):
        raise NotImplementedError


def test_a_baseline_goes_to_its_own_kit(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "camzoo.conformance.baselines.check_baseline",
        lambda kind: asked.append(kind) or [Result("a", passed=True), Result("b", False, "why")],
    )
    result = run("check", f"{__name__}:Word")
    assert asked == [Word]
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "pass  a", "FAIL  b", "      why", "1 of 2 checks passed"
    ]  # fmt: skip


def test_what_is_neither_is_refused():
    result = run("check", "pathlib:Path")
    assert isinstance(result.exception, ConfigError)
    assert "is no CAM method and no baseline" in str(result.exception)
