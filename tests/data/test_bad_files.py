"""Every bad file is refused in one line that names it, by data sets and by ``score``."""

import numpy as np
import pytest

from camzoo.core.errors import CamzooError
from camzoo.data.check import check_dataset
from camzoo.data.datasets.promri import ProMRI
from camzoo.data.readers import VOLUME_SUFFIXES
from camzoo.evaluate.score_options import ScoreOptions
from camzoo.evaluate.scoring import score_masks
from tests.data.bad_files import ANY, ARRAYS, OWN, SHAPE, SPACING, WRITERS, gland

SCAN = np.random.default_rng(0).integers(1, 900, SHAPE).astype(np.int16)
#: What is right in its place: any positive value is gland; a scan may lie wherever it says.
NO_FAULT_OF_A_SCAN = frozenset(
    {"fractions", "negative_labels", "labels_beyond_a_byte", "another_grid", "elsewhere"}
)
EVERY = [(suffix, name) for suffix in VOLUME_SUFFIXES for name in ANY]


def test_every_format_has_a_writer():
    """The walk below is one through all formats: a new one needs its line in WRITERS."""
    assert set(WRITERS) == set(VOLUME_SUFFIXES)


@pytest.fixture
def affine(write):
    return write.affine(SPACING, ("S", "P", "L"), origin=(1, 2, 3), tilt=0)


@pytest.fixture
def case(tmp_path, affine):
    """Writes a good scan and its label; returns the file of one of them."""

    def add(suffix, spoilt="label"):
        root = tmp_path / "data"
        root.mkdir()
        files = {}
        for kind, name, array in (("image", "a", SCAN), ("label", "a_segmentation", gland())):
            ending = suffix if kind == spoilt else ".nii"
            files[kind] = WRITERS[ending].save(root / f"{name}{ending}", array, affine)
        return files[spoilt]

    return add


@pytest.fixture
def pair(tmp_path, affine):
    """Writes a good reference and a good prediction; returns the file of one of them."""

    def add(suffix, spoilt):
        files = {}
        for kind in ("masks", "preds"):
            (tmp_path / kind).mkdir()
            ending = suffix if kind == spoilt else ".nii"
            files[kind] = WRITERS[ending].save(tmp_path / kind / f"a{ending}", gland(), affine)
        return files[spoilt]

    return add


def faults(root):
    return [fault.message for fault in check_dataset(ProMRI(root)).faults]


def require_one_line(message, path):
    assert "\n" not in message
    assert str(path.parent) in message
    assert path.name.partition(".")[0] in message
    for guess in ("may be truncated", "damaged:", "allocat"):
        assert guess not in message


def refused_by_score(root, path):
    with pytest.raises(CamzooError) as error:
        score_masks(root / "preds", root / "masks")
    require_one_line(str(error.value), path)


@pytest.mark.parametrize(("suffix", "name"), EVERY)
@pytest.mark.parametrize("spoilt", ["image", "label"])
def test_data_sets_refuse_what_any_format_can_have(
    case, affine, tmp_path, capfd, suffix, name, spoilt
):
    if spoilt == "image" and name in NO_FAULT_OF_A_SCAN:
        return
    path = case(suffix, spoilt)
    assert faults(tmp_path / "data") == []
    ANY[name](path, affine)
    (message,) = faults(tmp_path / "data")
    require_one_line(message, path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("suffix", "name"), EVERY)
@pytest.mark.parametrize("spoilt", ["masks", "preds"])
def test_score_refuses_what_any_format_can_have(
    pair, affine, tmp_path, capfd, suffix, name, spoilt
):
    path = pair(suffix, spoilt)
    ANY[name](path, affine)
    if name != "a_folder":  # which is a method of its own, or none
        refused_by_score(tmp_path, path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", OWN)
def test_data_sets_and_score_refuse_what_one_format_can_have(case, pair, tmp_path, capfd, name):
    suffix, spoil = OWN[name]
    path = case(suffix)
    spoil(path)
    (message,) = faults(tmp_path / "data")
    require_one_line(message, path)
    path = pair(suffix, "preds")
    spoil(path)
    refused_by_score(tmp_path, path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("spoilt", ["masks", "preds"])
def test_score_refuses_bad_arrays(tmp_path, recwarn, name, spoilt):
    for kind in ("masks", "preds"):
        (tmp_path / kind).mkdir()
        np.save(tmp_path / kind / "a.npy", gland())
    path = tmp_path / spoilt / "a.npy"
    ARRAYS[name](path)
    with pytest.raises(CamzooError) as error:
        score_masks(tmp_path / "preds", tmp_path / "masks", ScoreOptions(spacing=SPACING))
    assert "\n" not in str(error.value).removeprefix("predictions and references do not pair up:\n")
    assert str(tmp_path) in str(error.value) or "no prediction for a" in str(error.value)
    assert [str(warning.message) for warning in recwarn] == []
