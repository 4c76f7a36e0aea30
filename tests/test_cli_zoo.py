import typer
from typer.testing import CliRunner

from camzoo import cli_zoo

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
    assert "12 of 12 checks passed" in fine.output
    flat = run("check", "new_method:Flat")
    assert flat.exit_code == 1
    assert "FAIL  shape [B, C, h, w]" in flat.output
    assert "expected [3, 4, h, w], got [3, 3, 2]" in flat.output
