"""The data set of docs/plugins.md: one file, no edit of camzoo."""

import re

import nibabel as nib
import numpy as np
import pytest

from camzoo.core.errors import DataError
from camzoo.data.prepare import prepare
from camzoo.data.slices import Prepared
from camzoo.registries import datasets
from tests.conftest import ROOT

#: Index (x, y, z) to RAS mm: x towards the patient's right, so canonical volumes are mirrored.
AFFINE = np.diag([0.8, 0.7, 3.0, 1.0])


@pytest.fixture
def ward():
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (source,) = [block for block in blocks if "register_dataset(" in block]
    with datasets.temporary():
        exec(source, {"__name__": "liver_ward"})
        yield datasets.get("liver-ward")
    assert "liver-ward" not in datasets


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("ann_1", "ann_2", "bob_1"):
        image = rng.random((32, 24, 5)).astype(np.float32)
        label = np.zeros(image.shape, np.uint8)
        label[3:9, 4:12, 1:3] = 1
        nib.save(nib.Nifti1Image(image, AFFINE), tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(label, AFFINE), tmp_path / f"{name}_label.nii.gz")
    return tmp_path


def test_it_is_read(ward, folder):
    found = ward(folder)
    cases = found.cases()
    assert [(case.id, case.patient) for case in cases] == [
        ("ann_1", "ann"), ("ann_2", "ann"), ("bob_1", "bob"),
    ]  # fmt: skip
    image, label = found.image(cases[0]), found.label(cases[0])
    assert image.array.shape == label.array.shape == (5, 24, 32)
    assert label.array.sum() == 6 * 8 * 2
    assert image.spacing == pytest.approx((3.0, 0.7, 0.8))


def test_it_becomes_slices_with_tags_and_its_files_are_watched(ward, folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared")
    prepare(ward(folder), out, size=32, percentiles=(1, 99), min_area=1)
    slices = Prepared(out).tagged()
    assert slices.organs == ("liver",)
    assert slices.tags.sum() == 6  # two slices of each of three cases
    before = ward(folder).fingerprint()
    path = folder / "bob_1_label.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((32, 24, 5), np.uint8), AFFINE), path)
    after = ward(folder).fingerprint()
    assert before["ann_1"] == after["ann_1"]
    assert before["bob_1"] != after["bob_1"]
    path.write_bytes(b"no volume")
    with pytest.raises(DataError, match="bob_1_label"):
        ward(folder).label(ward(folder).cases()[2])
