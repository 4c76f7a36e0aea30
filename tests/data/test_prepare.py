import re

import numpy as np
import pytest
import torch

from camzoo.core.errors import DataError, FirewallError
from camzoo.core.supervision import Supervision
from camzoo.data.datasets.base import Case, Dataset, Facts, Folds
from camzoo.data.datasets.promri import ProMRI
from camzoo.data.prepare import prepare, tag_slices
from camzoo.data.slices import MaskVault, Prepared
from camzoo.data.volume import Volume

CPU = torch.device("cpu")
CANONICAL = np.array([[0, 0, -0.7, 0], [0, -0.6, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1.0]])


class Toy(Dataset):
    """Two cases of unlike, non-square shape; organ 2 is in one of them only."""

    name = "toy"
    facts = Facts("toy", "", "", "")
    organs = ("first", "second")
    sided = True
    split = Folds(3)

    def cases(self):
        return [Case("a", "p1"), Case("b", "p2")]

    def _shape(self, case):
        return (4, 20, 30) if case.id == "a" else (3, 24, 16)

    def image(self, case):
        z, y, x = np.indices(self._shape(case))
        return Volume(100 * z + 3 * y + x, CANONICAL, case.id, case.patient)

    def label(self, case):
        label = np.zeros(self._shape(case), np.uint8)
        label[1, 5:9, 4:8] = 1
        if case.id == "b":
            label[2, 3, 3] = 2
        return Volume(label, CANONICAL, case.id, case.patient)


def toy(tmp_path, **changes):
    folder = tmp_path / "prepared"
    folder.mkdir()
    settings = {"size": 32, "percentiles": (0.5, 99.5), "min_area": 1} | changes
    prepare(Toy(), folder, **settings)
    return Prepared(folder)


def test_slices_and_tags_of_all_cases_in_order(tmp_path):
    prepared = toy(tmp_path)
    slices = prepared.tagged()
    assert len(slices) == 7
    assert slices.images(slice(None)).shape == (7, 32, 32)
    assert slices.tags.tolist() == [[0, 0], [1, 0], [0, 0], [0, 0], [0, 0], [1, 0], [0, 1]]
    assert slices.cases == (("a", 0, 4), ("b", 4, 7))
    assert slices.sided
    assert slices.organs == ("first", "second")


def test_geometry_is_kept(tmp_path):
    info = toy(tmp_path).cases["b"]
    assert info.shape == (3, 24, 16)
    assert info.spacing == pytest.approx((3.0, 0.6, 0.7))
    assert info.rows == slice(4, 7)
    # The diagonal of 3 x 24 x 16 voxels: sqrt(9.0² + 14.4² + 11.2²).
    assert info.diagonal_mm == pytest.approx(20.3420, abs=1e-4)


def test_scaling_is_by_volume_and_padding_is_black(tmp_path):
    images = toy(tmp_path).tagged(["a"]).images(slice(None)).numpy()
    assert images.min() == 0
    assert images.max() == 255
    assert images[0].mean() < images[3].mean()  # one scale for the volume, not one per slice
    assert not images[:, :5].any()  # 20 of 30 rows: the letterbox pads above and below


def test_a_subset_holds_its_cases_only(tmp_path):
    prepared = toy(tmp_path)
    everything, b = prepared.tagged(), prepared.tagged(["b"])
    assert len(b) == 3
    assert (b.images(slice(None)) == everything.images(slice(4, 7))).all()
    assert everything.positive_rows.tolist() == [1, 5, 6]
    positives = everything.positives()
    assert positives.rows.tolist() == [1, 5, 6]
    assert positives.cases == (("a", 0, 1), ("b", 1, 3))


def test_batches_cover_everything_once(tmp_path):
    slices = toy(tmp_path).tagged()
    for which, grey, _ in slices.batches(3, CPU):
        assert grey.dtype == torch.float32
        np.testing.assert_allclose(grey, slices.images(which).numpy() / 255, rtol=1e-6)
    sizes = [len(images) for _, images, _ in slices.batches(3, CPU)]
    assert sizes == [3, 3, 1]
    tags = np.concatenate([tags.numpy() for _, _, tags in slices.batches(3, CPU)])
    assert (tags == slices.tags).all()


def test_content_hash_sees_every_change(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    one, two = toy(tmp_path / "1"), toy(tmp_path / "2", size=16)
    assert one.index.content != two.index.content


def test_min_area_counts_voxels_of_the_scan():
    label = np.zeros((2, 5, 7), np.uint8)
    label[0, 0, :3] = 1
    label[1, 0, :2] = 1
    assert tag_slices(label, 1, min_area=3).tolist() == [[1], [0]]


def test_an_organ_that_is_nowhere_is_refused(tmp_path):
    with pytest.raises(DataError, match="second is in no slice"):
        toy(tmp_path, min_area=2)


def test_evaluation_sees_masks(tmp_path):
    masks = toy(tmp_path).vault.for_evaluation()
    assert masks.label("b")[2, 3, 3] == 2
    assert masks.label("b").shape == (3, 24, 16)


@pytest.mark.parametrize("supervision", [Supervision.IMAGE, Supervision.IMAGE_SIZE])
def test_the_firewall_refuses_image_level_training(tmp_path, supervision):
    vault = toy(tmp_path).vault
    with pytest.raises(
        FirewallError, match=re.escape(f"seam declares supervision '{supervision.value}'")
    ):
        vault.for_training(supervision, ["a"], who="seam")


@pytest.mark.parametrize("supervision", [Supervision.IMAGE_SEED, Supervision.MASK])
def test_the_firewall_opens_training_cases_only(tmp_path, supervision):
    masks = toy(tmp_path).vault.for_training(supervision, ["a"], who="unet")
    assert masks.label("a").any()
    with pytest.raises(FirewallError, match="case b was not opened"):
        masks.label("b")


def test_tagged_slices_know_no_way_to_the_masks(tmp_path):
    prepared = toy(tmp_path)
    slices = prepared.tagged()
    reachable = [value for value in vars(slices).values() if isinstance(value, MaskVault)]
    assert not reachable
    assert not any(hasattr(slices, name) for name in ("vault", "label", "labels", "masks"))


def test_what_stands_out_in_the_files_is_kept(write, tmp_path):
    """Lengths in metres: the run goes on, its record and page say it."""
    scan = np.random.default_rng(0).integers(0, 900, (4, 6, 9)).astype(np.int16)
    for name, array in (("a", scan), ("a_segmentation", (scan > 300).astype(np.uint8))):
        write.nifti(tmp_path / "data" / f"{name}.nii", array, write.affine((3e-3, 8e-4, 5e-4)))
    (tmp_path / "out").mkdir()
    prepare(ProMRI(tmp_path / "data"), tmp_path / "out", size=8, percentiles=(1, 99), min_area=1)
    (note,) = Prepared(tmp_path / "out").notes
    assert note.startswith("the field of view is no patient's")
