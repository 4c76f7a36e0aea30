import numpy as np
import pytest

from camzoo.core.errors import DataError, GeometryError
from camzoo.data.datasets.base import Case, Dataset, Facts
from camzoo.data.loading import load_case
from camzoo.data.volume import Volume

CASE = Case("case7", "patient3")


class OneCase(Dataset):
    """A third party's data set: nothing of ours but the contract."""

    name = "one"
    facts = Facts("one", "-", "-", "-")
    organs = ("liver", "spleen")

    def __init__(self, image, label, label_affine=None):
        self._image, self._label = np.asarray(image), np.asarray(label)
        self._label_affine = label_affine

    def cases(self):
        return [CASE]

    def image(self, case):
        return Volume(self._image, np.diag([3, 2, 1, 1.0]), case.id, case.patient, "scan.nii")

    def label(self, case):
        affine = np.diag([3, 2, 1, 1.0]) if self._label_affine is None else self._label_affine
        return Volume(self._label, affine, case.id, case.patient, "mask.nii")


SCAN = np.arange(2 * 3 * 4.0).reshape(2, 3, 4)
MASK = (np.arange(2 * 3 * 4) % 3).astype(np.uint8).reshape(2, 3, 4)


def test_a_good_case_comes_through():
    loaded = load_case(OneCase(SCAN, MASK), CASE)
    np.testing.assert_array_equal(loaded.image.array, SCAN)
    np.testing.assert_array_equal(loaded.label.array, MASK)
    assert loaded.image.patient == "patient3"


def with_value(value):
    scan = SCAN.copy()
    scan[1, 2, 3] = value
    return scan


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (with_value(np.nan), MASK, "1 voxels are NaN or infinite"),
        (with_value(np.inf), MASK, "1 voxels are NaN or infinite"),
        (with_value(1e38), MASK, "grey values from 0 to 1e\\+38, expected at most 1e\\+12"),
        (np.full((2, 3, 4), 7), MASK, "every voxel is 7"),
        (SCAN[:1], MASK[:1], r"at least 2 voxels along \(z, y, x\), got \(1, 3, 4\)"),
        (SCAN, np.full((2, 3, 4), 3, np.uint8), r"classes 0 to 2 \(liver, spleen\).*3 to 3"),
        (SCAN, np.full((2, 3, 4), -1, np.int8), "values from -1 to -1"),
        (SCAN, MASK.astype(float), "expected integer classes, got type float64"),
    ],
)
def test_unusable_cases_are_refused(image, label, message):
    with pytest.raises(DataError, match=message) as error:
        load_case(OneCase(image, label), CASE)
    assert "case case7: " in str(error.value)
    assert "scan.nii" in str(error.value) or "mask.nii" in str(error.value)


def test_a_label_on_another_grid_is_refused():
    with pytest.raises(GeometryError, match="spacing"):
        load_case(OneCase(SCAN, MASK, np.diag([3, 2, 1.5, 1])), CASE)
    with pytest.raises(GeometryError, match="shape"):
        load_case(OneCase(SCAN, MASK[:, :2], np.diag([3, 2, 1.5, 1])), CASE)


def test_a_label_of_fewer_slices_is_placed_and_noted():
    affine = np.diag([3, 2, 1, 1.0])
    affine[1, 3] = 2.0
    loaded = load_case(OneCase(SCAN, MASK[:, 1:], affine), CASE)
    np.testing.assert_array_equal(loaded.label.array[:, 1:], MASK[:, 1:])
    assert not loaded.label.array[:, 0].any()
    assert [note.detail for note in loaded.notes][-1] == (
        "(2, 2, 4) at (0, 1, 0) of (2, 3, 4) voxels (z, y, x)"
    )
