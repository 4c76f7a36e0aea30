import numpy as np
import pytest

from camzoo.data.phantom.canvas import TissueMaps
from camzoo.data.phantom.fade import fade

SPACING = (1.5, 1.0)


def maps(ground, organ_signal=2.0):
    """A box-shaped organ on a given ground, [z, y, x]."""
    label = np.zeros(ground.shape, np.uint8)
    label[1:4, 20:40, 25:60] = 1
    signal = np.where(label, organ_signal, ground).astype(np.float32)
    grain = np.where(label, 0.4, 0.1).astype(np.float32)
    return TissueMaps(signal, grain, -grain, label, label > 0)


@pytest.fixture
def ramp():
    return np.broadcast_to(np.linspace(0.5, 1.5, 80, dtype=np.float32), (5, 60, 80))


def test_full_contrast_changes_nothing(ramp):
    before = maps(ramp)
    assert fade(before, SPACING, 1.0) is before


def test_an_organ_on_even_ground_vanishes_with_its_texture():
    before = maps(np.full((5, 60, 80), 0.7, np.float32))
    after = fade(before, SPACING, 0.0)
    np.testing.assert_allclose(after.signal, 0.7, rtol=1e-5)
    np.testing.assert_allclose(after.grain, 0.1, rtol=1e-5)
    np.testing.assert_allclose(after.strand, -0.1, rtol=1e-5)


def test_the_organ_takes_on_the_signal_next_to_each_part_of_its_boundary(ramp):
    after = fade(maps(ramp), SPACING, 0.0).signal[2]
    # Just inside the left and the right end: the ramp there is 0.81 and 1.25.
    assert after[30, 26] == pytest.approx(ramp[2, 30, 26], abs=0.06)
    assert after[30, 58] == pytest.approx(ramp[2, 30, 58], abs=0.06)


def test_half_contrast_is_half_way(ramp):
    full, half, none = (fade(maps(ramp), SPACING, c).signal for c in (1.0, 0.5, 0.0))
    np.testing.assert_allclose(half, (full + none) / 2, rtol=1e-5)


def test_only_the_organ_and_the_voxels_that_touch_it_change(ramp):
    before = maps(ramp)
    copy = before.signal.copy()
    after = fade(before, SPACING, 0.0)
    changed = np.argwhere(after.signal != before.signal)
    assert changed.min(0).tolist() >= [1, 19, 24]
    assert changed.max(0).tolist() <= [3, 40, 60]
    np.testing.assert_array_equal(before.signal, copy)
    np.testing.assert_array_equal(after.label, before.label)


def test_a_slice_that_is_all_organ_goes_dark():
    ground = np.ones((1, 8, 9), np.float32)
    full = np.ones(ground.shape, bool)
    before = TissueMaps(ground, ground, ground, full.astype(np.uint8), full)
    assert not fade(before, SPACING, 0.0).signal.any()
