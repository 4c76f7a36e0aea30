import numpy as np
import pytest

from camzoo.core.errors import DataError
from camzoo.metrics.overlap import slice_counts
from camzoo.metrics.slicewise import ReferenceSlices
from camzoo.metrics.surface import surface_distances
from tests.metrics.masks import random_pair


def test_every_slice_equals_its_own_measurement_in_the_plane():
    rng = np.random.default_rng(4)
    for _ in range(40):
        pred, ref, spacing = random_pair(rng)
        slices = ReferenceSlices(ref, spacing).distances(pred)
        for z in range(len(ref)):
            if not (pred[z].any() and ref[z].any()):
                assert np.isnan([slices.asd[z], slices.mad[z], slices.hd95[z]]).all()
                continue
            alone = surface_distances(pred[z], ref[z], spacing[1:])
            found = (slices.asd[z], slices.mad[z], slices.hd95[z])
            assert found == pytest.approx((alone.asd, alone.mad, alone.hd95))


def test_slices_with_one_mask_are_counted_as_failed():
    pred, ref = np.zeros((4, 5, 6), dtype=bool), np.zeros((4, 5, 6), dtype=bool)
    pred[0, 1, 1] = ref[0, 1, 3] = True  # both: 2 columns of 0.6 mm apart
    pred[1, 1, 1] = ref[2, 1, 1] = True  # one each; slice 3 has none
    slices = ReferenceSlices(ref, (3.0, 0.5, 0.6)).distances(pred)
    assert (slices.n, slices.n_failed) == (1, 2)
    assert slices.asd[0] == pytest.approx(1.2)


def test_no_slice_in_common():
    pred, ref = np.zeros((2, 5, 6), dtype=bool), np.zeros((2, 5, 6), dtype=bool)
    ref[1, 2, 2] = True
    slices = ReferenceSlices(ref, (3.0, 0.5, 0.6)).distances(pred)
    assert (slices.n, slices.n_failed) == (0, 1)


def test_a_slice_by_itself_is_no_volume():
    with pytest.raises(DataError, match=r"\[z, y, x\], got shape \(5, 6\)"):
        ReferenceSlices(np.zeros((5, 6)), (0.5, 0.6))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_along_any_axis_are_those_of_the_turned_volume(axis):
    rng = np.random.default_rng(9)
    for _ in range(10):
        pred, ref, spacing = random_pair(rng)
        turned = ReferenceSlices(
            np.moveaxis(ref, 0, axis), np.insert(spacing[1:], axis, spacing[0]), axis
        )
        found = turned.distances(np.moveaxis(pred, 0, axis))
        expected = ReferenceSlices(ref, spacing).distances(pred)
        for name in ("asd", "mad", "hd95"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name))
        assert found.n_failed == expected.n_failed
        counts = slice_counts(np.moveaxis(pred, 0, axis), np.moveaxis(ref, 0, axis), axis)
        np.testing.assert_array_equal(counts, slice_counts(pred, ref))
