"""Grids that run in seconds."""

from pathlib import Path

from camzoo.harness.grid.expand import expand
from camzoo.harness.grid.file import read_grid

#: The smallest phantoms that still have three patients to train on.
SMALL = """
preset = "smoke"
methods = ["cam", "centre"]

[set]
data.size = 64
training = {epochs = 1, crop = 64, resize = [64, 80], precision = "fp32"}
segmentation = {precision = "fp32", side = 32, widths = [8, 8, 8, 16, 16], epochs = 1}
maps = {side = 64, scales = [1.0], size = 32}
device = "cpu"
"""
#: A network that trains in a second; its label stands behind that of the data.
BACKBONE = """
[[backbone]]
name = "test_resnet"
label = "tiny"
weights = "none"
"""
PROSTATE = """
[[data]]
name = "phantom"
label = "prostates"
options = {variant = "prostate", patients = 6, size = 64}
"""
CARDIAC = """
[[data]]
name = "phantom"
label = "hearts"
options = {variant = "cardiac", patients = 6, size = 64}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "grid.toml"
    path.write_text(text, encoding="utf-8")
    return path


def runs_of(folder: Path, text: str):
    return expand(read_grid(written(folder, text)))
