"""Short-axis hearts in a folder of nnU-Net, in the two orientations of a public set.

Files lie with their columns towards the back, rows towards the head and slices towards the right
(P-S-R) in one patient and L-S-P in the next: 48 x 48 x 5 voxels of 1.25 x 1.25 x 8 mm.
"""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from camzoo.cli.data import data_app
from camzoo.core.choices import SliceChoice
from camzoo.core.errors import ConfigError
from camzoo.data.datasets.nnunet import NNUNet
from camzoo.data.loading import load_case
from camzoo.data.plane import Plane
from camzoo.data.prepare import prepare
from camzoo.data.readers import read_volume
from camzoo.data.slices import Prepared, labels_on_grid
from camzoo.segment.base import Baseline
from camzoo.segment.export import write_volume
from camzoo.segment.prediction import predict_volume

SHAPE = (5, 48, 40)
AXES = (("R", "S", "P"), ("P", "S", "L"))


def hearts(write, root, *, axes=AXES, patients=4, organ="lv", shape=SHAPE):
    """Patients whose slices, as stored, are the same for each number whatever the orientation."""
    root.mkdir(parents=True)
    labels = {"background": 0, organ: 1}
    text = {"channel_names": {"0": "MR"}, "labels": labels, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(text))
    for number in range(patients):
        rng = np.random.default_rng(number)
        label = np.zeros(shape, np.uint8)
        label[1:4, shape[1] // 3 : shape[1] // 2, 18:30] = 1
        scan = (rng.integers(0, 60, shape) + 90 * label).astype(np.int16)
        affine = write.affine((8.0, 1.25, 1.25), axes[number % len(axes)])
        write.nifti(root / "imagesTr" / f"h{number}_0000.nii.gz", scan, affine)
        write.nifti(root / "labelsTr" / f"h{number}.nii.gz", label, affine)
    return root


def opened(root, folder, **changes):
    folder.mkdir(parents=True)
    settings = {"size": 48, "percentiles": (0.5, 99.5), "min_area": 1} | changes
    prepare(NNUNet(root), folder, **settings)
    return Prepared(folder)


def test_five_slices_a_scan_and_not_48_strips(write, tmp_path):
    root = hearts(write, tmp_path / "set")
    acquired = opened(root, tmp_path / "acquired")
    assert [info.plane for info in acquired.index.cases] == [Plane.SAGITTAL, Plane.CORONAL] * 2
    assert len(acquired.tagged()) == 20
    assert int(acquired.tagged().tags.sum()) == 12
    assert [info.rows for info in acquired.index.cases] == [
        slice(k, k + 5) for k in range(0, 20, 5)
    ]
    axial = opened(root, tmp_path / "axial", slices=SliceChoice.AXIAL)
    assert len(axial.tagged()) == 192
    assert int(axial.tagged().tags.sum()) == 4 * 8
    assert acquired.index.content != axial.index.content


def test_hearts_of_both_orientations_look_alike(write, tmp_path):
    mixed = opened(hearts(write, tmp_path / "mixed"), tmp_path / "1").tagged()
    one = opened(hearts(write, tmp_path / "one", axes=AXES[:1]), tmp_path / "2").tagged()
    assert torch.equal(mixed.images(slice(None)), one.images(slice(None)))
    assert (mixed.tags == one.tags).all()


def test_masks_stay_on_the_grid_of_the_scan_and_their_slices_on_that_of_the_images(write, tmp_path):
    root = hearts(write, tmp_path / "set")
    dataset, prepared = NNUNet(root), opened(root, tmp_path / "prepared")
    masks = prepared.vault.for_evaluation()
    for case in dataset.cases():
        info, loaded = prepared.cases[case.id], load_case(dataset, case)
        np.testing.assert_array_equal(masks.label(case.id), loaded.label.array)
        assert info.shape == loaded.image.shape
        assert info.spacing == pytest.approx(loaded.image.spacing)
        assert masks.slices(case.id).shape == (5, 48, 40)
    grid = labels_on_grid(masks, prepared.cases, 48)
    assert (grid.any(axis=(1, 2)) == prepared.tagged().tags[:, 0]).all()
    bright = prepared.tagged().images(slice(None)).numpy() > 140  # noise ends at 60 of about 150
    assert (bright == (grid == 1)).mean() > 0.99


def test_maps_come_back_to_their_voxels(write, tmp_path):
    """At the side of the slices nothing is resampled: slices of the mask are the mask again."""
    prepared = opened(hearts(write, tmp_path / "set"), tmp_path / "prepared")
    masks = prepared.vault.for_evaluation()
    for case, info in prepared.cases.items():
        maps = torch.from_numpy(labels_on_grid(masks, [case], 48))[:, None].float()
        np.testing.assert_array_equal(info.on_scan(maps)[0].numpy(), masks.label(case))


class Reading(Baseline):
    """Says organ where a slice is bright."""

    name = "reading"

    def fit(self, context):
        raise NotImplementedError

    def predict(self, images):
        organ = (images > 140).float()
        return torch.stack([1 - organ, organ], dim=1)


def test_predictions_lie_on_the_scan(write, tmp_path):
    root = hearts(write, tmp_path / "set")
    prepared = opened(root, tmp_path / "prepared")
    for case, info in prepared.cases.items():
        images = prepared.tagged([case]).images(slice(None))
        labels = predict_volume(Reading(), images, info, organs=1, batch=2)
        assert labels.shape == info.shape
        mask = prepared.vault.for_evaluation().label(case)
        assert (labels == mask).mean() > 0.99
        write_volume(tmp_path / f"{case}.nii.gz", labels, np.array(info.affine))
        back = read_volume(tmp_path / f"{case}.nii.gz", case=case, patient=case)
        np.testing.assert_array_equal(back.array, labels)
        scan = read_volume(root / "labelsTr" / f"{case}.nii.gz", case=case, patient=case)
        np.testing.assert_allclose(back.affine, scan.affine, atol=1e-4)


@pytest.mark.parametrize(
    ("organ", "axes", "sided"),
    [
        ("lv", AXES, False),
        ("left kidney", AXES, True),
        ("left kidney", AXES[1:], True),
        ("left kidney", AXES[:1], False),  # all sagittal: mirroring exchanges front and back
    ],
)
def test_slices_are_not_mirrored_where_an_organ_would_change_its_side(
    write, tmp_path, organ, axes, sided
):
    root = hearts(write, tmp_path / "set", organ=organ, axes=axes, patients=2)
    assert opened(root, tmp_path / "prepared").tagged().sided is sided


def call(*words):
    return CliRunner().invoke(data_app, [str(word) for word in words])


def test_the_commands_say_how_many_slices_and_in_which_plane(write, tmp_path):
    root = hearts(write, tmp_path / "set")
    found = call("stats", "nnunet", "--root", root)
    assert found.exit_code == 0
    assert "4 cases of 4 patients, 20 slices" in found.output
    plane = "slices: acquired plane (coronal in 2, sagittal in 2, 8 mm)"
    note = "note: cases are cut in different planes (coronal in 2, sagittal in 2)"
    assert plane in found.output
    assert note in found.output
    checked = call("check", "nnunet", "--root", root)
    assert checked.exit_code == 0
    assert plane in checked.output
    assert note in checked.output


def test_the_axes_of_the_body_are_an_option_of_the_commands(write, tmp_path):
    root = hearts(write, tmp_path / "set")
    found = call("stats", "nnunet", "--root", root, "--slices", "axial")
    assert "4 cases of 4 patients, 192 slices" in found.output
    assert "slices: axial, as set (1.25 mm)" in found.output
    assert "different planes" not in found.output
    assert "slices: axial" in call("check", "nnunet", "--root", root, "--slices", "axial").output


@pytest.mark.parametrize("command", ["check", "stats"])
@pytest.mark.parametrize("choice", ["coronal", "", "AXIAL", "axial,acquired", "../axial"])
def test_a_plane_that_cannot_be_chosen_is_refused_before_anything_is_read(command, choice):
    found = call(command, "nnunet", "--root", "nowhere", "--slices", choice)
    assert isinstance(found.exception, ConfigError)
    assert str(found.exception) == f"--slices takes acquired or axial, got {choice!r}"
