import numpy as np
import pytest

from camzoo.core.errors import DataError
from camzoo.data.plane import Plane
from camzoo.evaluate.mask_evidence import SIDE, evidence_of
from camzoo.metrics.evidence import GREYS, gather

THRESHOLDS = (0.2, 0.4, 0.8)


def masks(maps, thresholds):
    """The rule of the sweep, a comparison per threshold: [N, C, T, h, w]."""
    winner = maps.argmax(axis=1)[:, None] == np.arange(maps.shape[1])[:, None, None]
    levels = np.asarray(thresholds)[:, None, None]
    return (maps[:, :, None] > levels) & winner[:, :, None]


@pytest.fixture
def scene():
    rng = np.random.default_rng(3)
    maps = rng.random((4, 2, 9, 14)).astype(np.float32)
    maps[2, 1] = 0  # the second organ is not in the third slice
    within = np.ones((9, 14), bool)
    within[:, :3] = False
    return maps, rng.random((4, 9, 14)), within


def test_counts_are_those_of_one_comparison_per_threshold(scene):
    maps, images, within = scene
    found = gather(maps, images, THRESHOLDS, within)
    expected = masks(maps, THRESHOLDS) & within
    assert found.there.tolist() == [[True, True], [True, True], [True, False], [True, True]]
    assert (found.size == expected.sum(axis=(-2, -1))).all()
    grey = np.minimum((images * GREYS).astype(int), GREYS - 1)
    for place in np.ndindex(4, 2, 3):
        if found.there[place[:2]]:
            inside = np.bincount(grey[place[0]][expected[place]], minlength=GREYS)
            assert (found.inside[place] == inside).all()
            outside = np.bincount(grey[place[0]][within & ~expected[place]], minlength=GREYS)
            assert (found.outside[place] == outside).all()


def test_outlines_are_those_of_one_comparison_per_threshold(scene):
    maps, images, within = scene
    found = gather(maps, images, THRESHOLDS, within)
    several = masks(maps, THRESHOLDS)
    length, step = np.zeros(found.size.shape), np.zeros(found.size.shape)
    for y, x in np.ndindex(9, 14):
        for b, a in ((y + 1, x), (y, x + 1)):
            if b < 9 and a < 14 and within[y, x] and within[b, a]:
                parted = several[..., y, x] != several[..., b, a]
                length += parted
                step += parted * abs(images[:, y, x] - images[:, b, a])[:, None, None]
    assert (found.length == length)[found.there].all()
    np.testing.assert_allclose(found.step[found.there], step[found.there])


def test_a_value_on_a_threshold_is_not_above_it():
    found = gather(np.full((1, 1, 2, 3), 0.5), np.zeros((1, 2, 3)), (0.25, 0.5))
    assert found.size.tolist() == [[[6, 0]]]


def test_slices_are_looked_at_on_one_grid_without_their_margin():
    """A scan of 4 slices of 30 x 60 voxels: half of the square around a slice is not of it."""
    maps = np.zeros((1, 4, 30, 60), np.float32)
    maps[0, 2, 10:20, 10:40] = 1
    found = evidence_of(maps, np.full((4, 30, 60), 0.3), Plane.AXIAL, [0.5])
    assert found.there.tolist() == [[False], [False], [True], [False]]
    assert found.whole[2].sum() == SIDE * SIDE / 2
    assert found.size[2, 0, 0] == pytest.approx(SIDE * SIDE * 300 / 3600, rel=0.05)
    assert found.inside[2, 0, 0].argmax() == int(0.3 * GREYS)


def test_shapes_and_grey_values_that_cannot_be():
    with pytest.raises(DataError, match=r"do not belong together: \(1, 1, 2, 3\), \(1, 3, 2\)"):
        gather(np.zeros((1, 1, 2, 3)), np.zeros((1, 3, 2)), [0.5])
    with pytest.raises(DataError, match="grey values run from 0 to 255"):
        gather(np.zeros((1, 1, 1, 2)), np.array([[[0, 255]]]), [0.5])
