"""A CAM, a step, a baseline, a data set and a metric: one file each, and seen everywhere.

A made-up distribution brings them, as anybody's would; the program runs in processes of its own,
and no file of camzoo is edited. The data set and the metric are those of docs/plugins.md. All of
them are so simple that their numbers follow by hand: an organ of 255 on a background of 0, 16 x 16
pixels around the middle of 64 x 64, which brightness finds exactly.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.plugins import install

pytestmark = pytest.mark.slow
CAM = '''
from camzoo import CamMethod, register_cam


@register_cam("bright-cam")
class BrightCam(CamMethod):
    """How bright a pixel is, whatever the class."""

    paper = "an example"
    cost = "nothing"
    class_specific = False

    def saliency(self, view):
        """Return the brightness over that of the background."""
        grey = view.images.mean(1, keepdim=True)
        return (grey - grey.amin()).expand(-1, view.logits.shape[1], -1, -1)
'''
STEP = '''
from camzoo import MapStep, StepReport, register_step


@register_step("left")
class Left(MapStep):
    """Keeps the columns at the left."""

    paper = "an example"
    cost = "next to nothing"

    def __init__(self, columns: int = 32) -> None:
        self._columns = columns

    def apply(self, source, context, out):
        """Fill ``out`` with what is kept."""
        def kept(maps, rows):
            maps = maps.clone()
            maps[..., self._columns :] = 0
            return maps

        context.rewrite(source, out, kept)
        return StepReport(notes=(f"{self._columns} of {source.maps.shape[-1]}",))
'''
BASELINE = '''
import torch

from camzoo import Baseline, register_baseline


@register_baseline("cut")
class Cut(Baseline):
    """Cuts the brightness in the middle and learns nothing."""

    title = "Cut"
    paper = "an example"
    cost = "nothing at all"

    def fit(self, context):
        """Label the training slices."""
        self.pseudo = (context.train.images(slice(None)).numpy() > 127).astype("uint8")

    def predict(self, images):
        """Return what is certain: an organ where it is bright."""
        organ = (images > 127).float()
        return torch.stack([1 - organ, organ], dim=1)
'''
#: By kind: name, place, what a list says of it, and what the list of that one name says, too.
PARTS = {
    "cams": (
        "bright-cam", "bright:BrightCam", "How bright a pixel is, whatever the class.",
        "class specific no",
    ),
    "steps": ("left", "keeps_left:Left", "Keeps the columns at the left.", "settings columns=32"),
    "baselines": (
        "cut", "cuts:Cut", "Cuts the brightness in the middle and learns nothing.",
        "cost nothing at all",
    ),
    "datasets": ("liver-ward", "ward:LiverWard", "Livers of one ward", "where the ward"),
    "metrics": (
        "volumetric_similarity", "volumes:VolumetricSimilarity",
        "VS Volumetric similarity: how near the volumes are",
        "definition 1 - ||A|-|B|| / (|A|+|B|) (Taha and Hanbury, 2015)",
    ),
}  # fmt: skip
METHODS = "cam,bright-cam,bright-cam[left],bright-cam[left]:columns=28,cam[left]"
#: The least that runs: pixels of the slices, of the maps and of the scans are the same.
SETTINGS = {
    "data.size": "64", "training.epochs": "1", "training.crop": "64", "training.resize": "64,64",
    "maps.side": "64", "maps.size": "64", "maps.scales": "1", "segmentation.side": "32",
}  # fmt: skip
AFFINE = np.diag([1.0, 1.0, 3.0, 1.0])


def example(page, decorator):
    """The block of a page that registers something."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (source,) = [block for block in blocks if f"@{decorator}" in block]
    return source


SOURCES = {
    "bright": CAM,
    "keeps_left": STEP,
    "cuts": BASELINE,
    "ward": example("plugins.md", 'register_dataset("liver-ward")'),
    "volumes": example("plugins.md", 'register_metric("volumetric_similarity")'),
}


@pytest.fixture(scope="module")
def camzoo(tmp_path_factory):
    """The program, in a process that finds the distribution; gives what was printed."""
    site = tmp_path_factory.mktemp("site")
    entries = {f"camzoo.{kind}": {name: place} for kind, (name, place, *_) in PARTS.items()}
    install(site, "somebody", entries, SOURCES, group=None)

    def camzoo(*words, code=("-m", "camzoo")):
        path = os.pathsep.join([str(site), str(ROOT)])
        done = subprocess.run(
            [sys.executable, *code, *map(str, words)], capture_output=True, encoding="utf-8",
            check=False, env=os.environ | {"PYTHONPATH": path, "COLUMNS": "250"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return camzoo


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    """A folder of eight patients: 16 x 16 x 3 voxels of organ each."""
    folder = tmp_path_factory.mktemp("ward")
    label = np.zeros((64, 64, 6), np.uint8)
    label[24:40, 24:40, 1:4] = 1
    for patient in "abcdefgh":
        # One grey value of the background tells the patients' files apart.
        image = np.where(label, 255, 0).astype(np.int16)
        image[0, 0, 0] = -ord(patient)
        nib.save(nib.Nifti1Image(image, AFFINE), folder / f"{patient}_1.nii.gz")
        nib.save(nib.Nifti1Image(label, AFFINE), folder / f"{patient}_1_label.nii.gz")
    return folder


@pytest.fixture(scope="module")
def run(camzoo, ward, tmp_path_factory):
    """The folder of a run of all five."""
    words = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    document = json.loads(
        camzoo(
            "bench", "--dataset", "liver-ward", "--root", ward, "--preset", "smoke", "--methods",
            METHODS, "--baselines", "cut", "--device", "cpu", "--out",
            tmp_path_factory.mktemp("runs"), *words, "--json",
        )
    )  # fmt: skip
    assert document["failures"] == {}
    return document["files"]["rows"]


@pytest.mark.parametrize("module", SOURCES)
def test_a_file_needs_camzoo_itself_and_no_room_of_it(module):
    for node in ast.walk(ast.parse(SOURCES[module])):
        if isinstance(node, ast.ImportFrom):
            assert not node.module.startswith("camzoo.")


@pytest.mark.parametrize("kind", PARTS)
def test_lists_show_it_with_its_package(camzoo, kind):
    name, place, said, details = PARTS[kind]
    shown = " ".join(camzoo("list", kind).split())
    assert all(part in shown for part in (name, said, "of somebody"))
    one = " ".join(camzoo("list", name).split())
    assert f"code {place} package somebody" in one
    assert details in one


#: Method and variant to what both overlaps are: the whole organ, a half and a quarter of it, for
#: which DSC and volumetric similarity are 2 |A| / (|A| + |B|) alike.
BY_HAND = {
    ("bright-cam", ""): 1,
    ("bright-cam[left]", "32 of 64"): 2 / 3,
    ("bright-cam[left]", "columns=28, 28 of 64"): 2 / 5,
    ("cut", ""): 1,
}


def test_rows_have_the_numbers_that_follow_by_hand(run):
    rows = pd.read_parquet(f"{run}/rows.parquet")
    assert set(rows["dataset"]) == {"liver-ward"}
    assert set(rows["organ"]) == {"liver"}
    assert set(rows["n_ref"]) == {16 * 16 * 3}
    for (method, variant), found in rows.groupby(["method", "variant"]):
        if (method, variant) in BY_HAND:
            value = BY_HAND[method, variant]
            assert found["dsc"].to_numpy() == pytest.approx(value)
            assert found["volumetric_similarity"].to_numpy() == pytest.approx(value)
    assert set(zip(rows["method"], rows["variant"], strict=True)) == {
        *BY_HAND, ("cam", ""), ("cam[left]", "32 of 64"),
    }  # fmt: skip
    whole, left = (
        rows[(rows["method"] == name) & (rows["protocol"] == "fixed")]["n_pred"].sum()
        for name in ("cam", "cam[left]")
    )
    assert 0 < left < whole


def test_costs_have_the_baseline(run):
    (cost,) = json.loads(Path(run, "costs.json").read_text(encoding="utf-8"))
    assert cost["method"] == "cut"
    assert cost["fit"]["seconds"] >= 0
    assert cost["images_per_second"] is None


def test_leaderboards_show_all_five(camzoo, run, tmp_path):
    camzoo("leaderboard", run, "--out", tmp_path)
    page = (tmp_path / "liver-ward.md").read_text(encoding="utf-8")
    tables = dict(re.findall(r"^##+ (.+)\n((?:.*\n)*?)(?=^#|\Z)", page, re.MULTILINE))
    whole = tables["Pseudo-masks of the training slices: pooled DSC (%)"]
    assert "| bright-cam | 100.00 | 100.00 | 100.00 | 100.00 | 100.00 | 0.00 |" in whole
    assert "| bright-cam[left] 32 of 64 | 66.67 | 66.67 |" in whole
    segmented = tables["Weakly supervised systems: test volumes after the U-Net"]
    assert "| cut | image | 100.00 ± 0.00 | " in segmented
    assert "| cut | 100.00 | 100.00 ± 0.00 |" in tables["Labels that baselines learnt"]
    assert "| cut | 0.0 s |" in tables["What baselines took"]
    further = tables["Further metrics: volumes of the test patients"]
    assert "| stage | method | VS |" in further
    assert "| pseudo-mask | bright-cam[left] 32 of 64 | 0.67 ± 0.00 |" in further
    assert "- data: Livers of one ward; organs: liver" in page
    camzoo("leaderboard", "--check", "--out", tmp_path)


def test_score_shows_the_metric_by_hand(camzoo, ward, tmp_path):
    """16 columns of organ, 24 of the prediction, 8 of them in both."""
    for folder in ("masks", "preds"):
        (tmp_path / folder).mkdir()
    shifted = np.zeros((64, 64, 6), np.uint8)
    shifted[32:56, 24:40, 1:4] = 1
    for case in "abcdefgh":
        shutil.copy(ward / f"{case}_1_label.nii.gz", tmp_path / "masks" / f"{case}.nii.gz")
        nib.save(nib.Nifti1Image(shifted, AFFINE), tmp_path / "preds" / f"{case}.nii.gz")
    words = ["--preds", tmp_path / "preds", "--masks", tmp_path / "masks", "--out", tmp_path / "s"]
    shown = camzoo("score", *words, "--metrics", "volumetric_similarity")
    assert "VS: 1 - ||A|-|B|| / (|A|+|B|) (Taha and Hanbury, 2015)" in shown
    rows = pd.read_parquet(tmp_path / "s" / "rows.parquet")
    assert rows["dsc"].tolist() == pytest.approx([2 * 8 / 40] * 8)
    assert rows["volumetric_similarity"].tolist() == pytest.approx([1 - 8 / 40] * 8)
    assert "0.80 ± 0.00" in shown


def test_the_page_of_metrics_knows_it(camzoo):
    """Methods of others are theirs to document: that page stays as it is."""
    script = """
from benchmarks import method_docs, metric_docs
from benchmarks.results import table
print(table(metric_docs.PAGES["metrics.md"]["definitions"]()))
page = method_docs.DOCS.read_text(encoding="utf-8")
print(method_docs.fill(page) == page)
"""
    shown = camzoo(code=("-c", script))
    assert "| VS | volumetric_similarity | none | higher is better | 0 to 1 |" in shown
    assert shown.endswith("True\n")
