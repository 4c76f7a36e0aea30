import numpy as np
import pytest

from camzoo.core.errors import GeometryError
from camzoo.metrics.subregions import crop, thirds

#: Index (z, y, x) to RAS mm; slices run towards the head.
UP = np.array([[0, 0, -0.6, 0], [0, -0.5, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1.0]])
DOWN = UP @ np.diag([-1, 1, 1, 1])


def gland(first, count, depth=20):
    mask = np.zeros((depth, 3, 4), dtype=bool)
    mask[first : first + count, 1, 1] = True
    return mask


@pytest.mark.parametrize(
    ("slices", "apex", "mid", "base"),
    [(1, 0, 1, 0), (2, 0, 1, 1), (3, 1, 1, 1), (4, 1, 2, 1), (5, 1, 2, 2), (9, 3, 3, 3)],
)
def test_sizes_of_the_thirds(slices, apex, mid, base):
    regions = thirds(gland(2, slices), UP)
    assert list(regions) == ["apex", "mid", "base"]
    assert [r.stop - r.start for r in regions.values()] == [apex, mid, base]
    assert regions["apex"].start == 2
    assert regions["base"].stop == 2 + slices


def test_the_apex_lies_towards_the_feet_whatever_the_order_of_slices():
    mask = gland(3, 5)
    up, down = thirds(mask, UP), thirds(mask, DOWN)
    assert up == {"apex": slice(3, 4), "mid": slice(4, 6), "base": slice(6, 8)}
    assert down == {"apex": slice(7, 8), "mid": slice(5, 7), "base": slice(3, 5)}


def test_gaps_within_the_reference_count_as_slices():
    mask = gland(0, 2)
    mask[8, 1, 1] = True
    assert thirds(mask, UP)["base"] == slice(6, 9)


def test_oblique_axial_slices_are_still_upright():
    tilt = np.eye(4)
    c, s = np.cos(0.5), np.sin(0.5)
    tilt[1:3, 1:3] = [[c, -s], [s, c]]
    assert thirds(gland(3, 3), tilt @ DOWN) == thirds(gland(3, 3), DOWN)


def test_no_reference_no_regions():
    assert list(thirds(gland(0, 0), UP).values()) == [slice(0, 0)] * 3


def test_sagittal_slices_have_no_apex():
    with pytest.raises(GeometryError, match=r"axial slices.*canonical"):
        thirds(gland(0, 3), UP[:, [2, 1, 0, 3]])


def test_crop_empties_everything_else():
    mask = gland(3, 5)
    assert np.flatnonzero(crop(mask, slice(4, 6)).any(axis=(1, 2))).tolist() == [4, 5]
    assert mask.sum() == 5
