import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from camzoo.cli.data import data_app
from camzoo.core.errors import ConfigError

SHAPE = (4, 6, 9)


@pytest.fixture
def folder(tmp_path):
    """Two own prostate cases, the second with a label value of 300."""
    rng = np.random.default_rng(0)
    affine = np.diag([-0.5, -0.6, 3, 1])
    for name, top in (("a", 1), ("b", 300)):
        gland = np.zeros(SHAPE, np.int16)
        gland[1:3, 2:4, 2:5] = top
        scan = rng.integers(0, 99, SHAPE).astype(np.int16)
        nib.Nifti1Image(scan.T, affine).to_filename(tmp_path / f"{name}.nii.gz")
        nib.Nifti1Image(gland.T, affine).to_filename(tmp_path / f"{name}_segmentation.nii.gz")
    return tmp_path


def call(*words):
    return CliRunner().invoke(data_app, [str(word) for word in words])


def test_check_lists_faults_and_exits_with_2(folder):
    found = call("check", "promri", "--root", folder)
    assert found.exit_code == 2
    assert "fault: case b: " in found.output
    assert "12 voxels hold 300" in found.output
    assert "2 cases tried, 1 with faults, 1 faults in all" in found.output


def test_check_of_a_clean_folder_exits_with_0(folder):
    for path in folder.glob("b*"):
        path.unlink()
    found = call("check", "promri", "--root", folder)
    assert found.exit_code == 0
    assert "1 cases tried, 0 with faults" in found.output


def test_stats_by_hand(folder):
    """12 voxels of 3 x 0.6 x 0.5 mm are 0.0108 ml; 2 of 4 slices are positive."""
    for path in folder.glob("b*"):
        path.unlink()
    found = call("stats", "promri", "--root", folder)
    assert found.exit_code == 0
    assert "1 cases of 1 patients, 4 slices" in found.output
    for part in ("prostate", "2", "50.0%", "0.0", "4 x 6 x 9", "3 x 0.6 x 0.5"):
        assert part in found.output
    assert "43 volumes that are not public" in found.output  # caveats of the data set


def test_long_tables_are_cut_and_remarks_follow(tmp_path):
    """Ten patients, ten spacings, no tilt at all."""
    scan = np.random.default_rng(0).integers(0, 99, SHAPE).astype(np.int16)
    for k in range(10):
        affine = np.diag([-0.5, -0.6, 3 + k, 1])
        nib.Nifti1Image(scan.T + k, affine).to_filename(tmp_path / f"c{k}.nii.gz")
        gland = nib.Nifti1Image((scan.T > 50).astype(np.uint8), affine)
        gland.to_filename(tmp_path / f"c{k}_segmentation.nii.gz")
    found = call("stats", "promri", "--root", tmp_path)
    assert "2 others" in found.output
    found = call("check", "promri", "--root", tmp_path)
    assert found.exit_code == 0
    assert "note: the axes of all 10 patients are exactly those of the body" in found.output


def test_options_reach_the_data_set(tmp_path):
    found = call("check", "chaos", "--root", tmp_path, "--option", "sequence=T1DUAL-OutPhase")
    assert found.exit_code == 2
    assert "fault: no case of CHAOS" in found.output
    with pytest.raises(ConfigError, match="did you mean sequence"):
        raise call("check", "chaos", "--root", tmp_path, "--option", "sequenc=x").exception
    with pytest.raises(ConfigError, match="KEY=VALUE, got 'sequence'"):
        raise call("check", "chaos", "--root", tmp_path, "--option", "sequence").exception
    with pytest.raises(ConfigError, match="give --root DIR"):
        raise call("check", "chaos").exception


def test_fetch_says_how_to_register(tmp_path):
    found = call("fetch", "acdc", "--root", tmp_path)
    assert found.exit_code == 0
    assert "humanheart-project.creatis.insa-lyon.fr" in found.output
