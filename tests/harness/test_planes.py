"""The same slices give the same numbers, whichever way they lie in the body."""

import json
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from camzoo.core.choices import SliceChoice
from camzoo.core.progress import Quiet
from camzoo.data.datasets.nnunet import NNUNet
from camzoo.data.plane import Plane
from camzoo.harness.estimate import Estimator
from camzoo.harness.run import bench
from camzoo.presets import preset
from camzoo.report.gallery import panels
from camzoo.report.leaderboards import write_page

SHAPE = (5, 40, 30)
#: Columns of affines of nibabel: columns, rows and slices of an array [slices, rows, columns].
RIGHT, FRONT, HEAD = np.eye(3)
AXIAL = (-RIGHT, -FRONT, HEAD)
SHORT_AXIS = ((-FRONT, -HEAD, RIGHT), (-RIGHT, -HEAD, -FRONT))


def write_set(root, frames):
    """Six hearts; number k lies as ``frames[k % len(frames)]`` says."""
    labels = {"background": 0, "lv": 1}
    text = {"channel_names": {"0": "MR"}, "labels": labels, "file_ending": ".nii.gz"}
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    (root / "dataset.json").write_text(json.dumps(text))
    for number in range(6):
        affine = np.eye(4)
        affine[:3, :3] = np.stack(frames[number % len(frames)], axis=1) * (1.25, 1.0, 8.0)
        label = np.zeros(SHAPE, np.uint8)
        label[1:4, 8 + number : 20 + number, 10:22] = 1
        noise = np.random.default_rng(number).integers(0, 60, SHAPE)
        for path, array in (
            (root / "imagesTr" / f"h{number}_0000.nii.gz", (noise + 80 * label).astype(np.int16)),
            (root / "labelsTr" / f"h{number}.nii.gz", label),
        ):
            nib.Nifti1Image(array.T, affine).to_filename(path)
    return root


class Notes(Quiet):
    """Keeps the lines that a run says."""

    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)


def settings(folder, frames):
    return preset("smoke", "nnunet").changed(
        {
            "data.root": write_set(folder / "set", frames),
            "data.size": 40, "training.epochs": 1,
            "backbone.name": "test_resnet", "training.crop": 64,
            "training.resize": [64, 64], "training.precision": "fp32", "maps.side": 64,
            "maps.scales": [1.0], "maps.size": 32, "segmentation.side": 32,
            "segmentation.widths": [4, 4, 8, 8, 8], "segmentation.epochs": 3,
            "segmentation.precision": "fp32", "baselines": ["supervised", "p-cam"],
            "device": "cpu",
        }
    )  # fmt: skip


def run(folder, frames, reporter=None):
    return bench(settings(folder, frames), folder / "runs", reporter)


@pytest.fixture(scope="module")
def said():
    return {"axial": Notes(), "short-axis": Notes()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, said):
    return {
        name: run(tmp_path_factory.mktemp(name), frames, said[name])
        for name, frames in {"axial": (AXIAL,), "short-axis": SHORT_AXIS}.items()
    }


def test_maps_masks_and_segmentations_score_alike(runs):
    """Overlap and distances of volumes, of maps, pseudo-masks and U-Nets, in mm of the scan."""
    axial, short = (
        runs[name].rows.drop(columns=["run", "data", "spacing_z", "spacing_y", "spacing_x"])
        for name in ("axial", "short-axis")
    )
    assert set(short["method"]) == {"cam", "supervised", "p-cam"}
    assert len(short) > 20
    pd.testing.assert_frame_equal(short, axial)
    assert short["dsc"].max() > 0.3  # something was found at all


def test_pictures_are_the_same(runs):
    for axial, short in zip(panels(runs["axial"]), panels(runs["short-axis"]), strict=True):
        assert short.title == axial.title
        assert short.image.shape == SHAPE[1:]
        assert short.aspect == pytest.approx(1 / 1.25)
        np.testing.assert_array_equal(short.image, axial.image)
        np.testing.assert_array_equal(short.reference, axial.reference)
        np.testing.assert_array_equal(short.maps["cam"], axial.maps["cam"])


def test_the_page_says_which_plane_was_used(runs):
    pages = {name: write_page(result.folder).read_text("utf-8") for name, result in runs.items()}
    assert "- slices: acquired plane (axial, 8 mm)\n" in pages["axial"]
    assert "different planes" not in pages["axial"]
    plane = "- slices: acquired plane (coronal in 3, sagittal in 3, 8 mm)\n"
    assert plane in pages["short-axis"]
    assert "- note: cases are cut in different planes" in pages["short-axis"]
    assert {i.plane for i in runs["short-axis"].prepared.index.cases} == {
        Plane.CORONAL,
        Plane.SAGITTAL,
    }


def test_the_run_says_it_before_it_trains(runs, said):
    assert set(runs) == set(said)
    assert said["axial"].lines[-1:] == ["slices: acquired plane (axial, 8 mm)"]
    plane, note = said["short-axis"].lines[-2:]
    assert plane == "slices: acquired plane (coronal in 3, sagittal in 3, 8 mm)"
    assert note.startswith("note: cases are cut in different planes")


def test_a_plan_counts_the_slices_that_the_run_cuts(tmp_path):
    """The first heart has its rows along z: six hearts are 6 x 5 slices, axially 6 x 40."""
    config = settings(tmp_path, SHORT_AXIS)
    dataset = NNUNet(config.data.root)
    counted = {
        choice: Estimator(
            SimpleNamespace(config=config.changed({"data.slices": choice})), dataset, None
        ).slices
        for choice in SliceChoice
    }
    assert counted == {SliceChoice.ACQUIRED: 30, SliceChoice.AXIAL: 240}
