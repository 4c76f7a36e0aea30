"""A voxel of an exported map lies on the voxel of the scan: oblique, anisotropic, not square."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from camzoo.cli.app import app
from camzoo.core.errors import ConfigError
from camzoo.core.names import is_name
from camzoo.core.progress import Quiet
from camzoo.data.datasets.nnunet import NNUNet
from camzoo.harness.run import bench
from camzoo.presets import preset
from camzoo.report.folder import TERMS, Export, write_report
from camzoo.report.nifti import file_names
from tests.report.hostile import HOSTILE

SHAPE = (5, 40, 30)
#: Columns of an affine of nibabel: short-axis slices, columns to the front, rows to the feet.
FRONT_FEET = np.array([[0, 0, 1.0], [-1.0, 0, 0], [0, -1.0, 0]])


def oblique():
    """Turned by 20 degrees about one axis and 15 about another, in voxels of 1.25 x 1 x 8 mm."""
    a, b = np.radians([20, 15])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ FRONT_FEET * (1.25, 1.0, 8.0)
    affine[:3, 3] = (-30, 41, 7)
    return affine


def write_set(root):
    """Seven hearts whose organ leans to one corner, so that no flip of it is itself."""
    labels = {"background": 0, "lv": 1, "rv": 2}
    text = {"channel_names": {"0": "MR"}, "labels": labels, "file_ending": ".nii.gz"}
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    (root / "dataset.json").write_text(json.dumps(text))
    for number in range(7):
        label = np.zeros(SHAPE, np.uint8)
        label[1:4, 6 + number : 16 + number, 4:12] = 1
        label[2:5, 20 + number : 30 + number, 14:22] = 2
        noise = np.random.default_rng(number).integers(0, 60, SHAPE)
        for path, array in (
            (root / "imagesTr" / f"h{number}_0000.nii.gz", (noise + 80 * label).astype(np.int16)),
            (root / "labelsTr" / f"h{number}.nii.gz", label),
        ):
            nib.Nifti1Image(array.T, oblique()).to_filename(path)
    return root


@pytest.fixture(scope="module")
def hearts(tmp_path_factory):
    """A folder with the data set, a run on it, and its export."""
    folder = tmp_path_factory.mktemp("hearts")
    config = preset("smoke", "nnunet").changed(
        {
            "data.root": write_set(folder / "set"), "data.size": 48, "training.epochs": 1,
            "backbone.name": "test_resnet", "training.crop": 64, "training.resize": [64, 64],
            "maps.side": 64, "maps.scales": [1.0], "maps.size": 32, "methods": ["cam", "centre"],
            "device": "cpu",
        }
    )  # fmt: skip
    result = bench(config, folder / "runs", Quiet())
    page = write_report(
        [result.folder], folder / "out", exports=[Export.NIFTI], include_images=True
    )
    return folder, result, page.parent / "nifti" / result.folder.name


def world(image):
    """Positions in mm of the voxels that are marked, in order, with their values."""
    voxels = np.argwhere(np.asanyarray(image.dataobj))
    at = nib.affines.apply_affine(image.affine, voxels)
    values = np.asanyarray(image.dataobj)[tuple(voxels.T)][:, None]
    table = np.hstack([at, values]).round(3)
    return table[np.lexsort(table.T)]


def test_a_voxel_lies_where_it_was_scanned(hearts):
    folder, result, exported = hearts
    cases = sorted(exported.rglob("reference/*.nii.gz"))
    assert len(cases) == result.rows.query("subset == 'test'")["case"].nunique()
    for path in cases:
        scanned, written = nib.load(folder / "set" / "labelsTr" / path.name), nib.load(path)
        assert written.shape != scanned.shape  # stored in another order
        np.testing.assert_allclose(world(written), world(scanned), atol=2e-3)
        for other in exported.rglob(path.name):
            assert nib.load(other).shape == written.shape
            np.testing.assert_allclose(nib.load(other).affine, written.affine)
            assert nib.load(other).header.get_xyzt_units()[0] == "mm"


def test_masks_are_maps_above_the_threshold(hearts):
    _, result, exported = hearts
    rows = result.rows[result.rows["subset"] == "test"]
    (case,) = rows["case"].unique()[:1]
    for method in ("cam", "centre"):
        maps = [
            nib.load(exported / "maps" / method / organ / f"{case}.nii.gz").get_fdata()
            for organ in ("lv", "rv")
        ]
        mine = rows[(rows["case"] == case) & (rows["method"] == method)]
        assert len(mine["protocol"].unique()) > 1
        for protocol, threshold in mine.groupby("protocol")["threshold"].first().items():
            mask = nib.load(exported / "masks" / protocol / method / f"{case}.nii.gz")
            best = np.max(maps, axis=0)
            expected = np.where(best > np.float32(threshold), np.argmax(maps, axis=0) + 1, 0)
            np.testing.assert_array_equal(np.asanyarray(mask.dataobj), expected)


def test_exported_masks_score_as_the_run_did(hearts, tmp_path):
    """Against the labels as they were shipped, in their own order of axes."""
    folder, result, exported = hearts
    labels = tmp_path / "labels"
    labels.mkdir()
    for path in (exported / "reference").iterdir():
        (labels / path.name).symlink_to(folder / "set" / "labelsTr" / path.name)
    ended = CliRunner().invoke(
        app,
        ["score", "--preds", str(exported / "masks" / "validated"), "--masks", str(labels),
         "--organs", "lv,rv", "--out", str(tmp_path / "scored"), "-q"],
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    keys = ["method", "organ", "case"]
    scored = pd.read_parquet(tmp_path / "scored" / "rows.parquet").set_index(keys)
    rows = result.rows
    rows = rows[(rows["subset"] == "test") & (rows["region"] == "whole")]
    rows = rows[rows["protocol"] == "validated"].set_index(keys)
    assert len(scored) == len(rows) >= 4
    for name in ("dsc", "asd_mm"):
        both = pd.concat([scored[name], rows[name]], axis=1, keys=["scored", "run"])
        np.testing.assert_allclose(both["scored"], both["run"], atol=1e-3, err_msg=name)


def test_maps_of_patients_leave_with_their_terms_or_not_at_all(hearts, tmp_path):
    folder, result, _ = hearts
    terms = (folder / "out" / TERMS).read_text("utf-8")
    assert f"Licence: {NNUNet.facts.licence}\n" in terms
    assert f"Cite: {NNUNet.facts.citation}\n" in terms
    with pytest.raises(ConfigError, match=r"no maps of .* can be exported: .*--include-images"):
        write_report([result.folder], tmp_path / "out", exports=[Export.NIFTI])
    assert not (tmp_path / "out").exists()
    page = write_report([result.folder], tmp_path / "out", exports=[*Export][:3])
    assert not (page.parent / TERMS).exists()
    assert not list(page.parent.rglob("slice-*"))
    assert not list(page.parent.rglob("case-*"))
    page = write_report(
        [result.folder], tmp_path / "out", exports=[Export.FIGURES], include_images=True
    )
    assert len(list(page.parent.rglob("slice-*.png"))) >= 2
    assert (page.parent / TERMS).read_text("utf-8") == terms
    assert f"Licence: {NNUNet.facts.licence}" in page.read_text("utf-8")


def test_files_of_hostile_names_stay_in_their_folder(tmp_path):
    names = file_names(HOSTILE.values())
    assert len({name.casefold() for name in names.values()}) == len(HOSTILE)
    for name in names.values():
        assert is_name(name)
        (tmp_path / name).mkdir()
        assert (tmp_path / name).parent == tmp_path
