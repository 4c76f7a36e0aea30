"""What must hold for all masks, whatever the implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from camzoo.metrics.overlap import overlap_counts, recall
from camzoo.metrics.surface import surface_distances

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 9))
SPACINGS = st.tuples(*[st.floats(0.2, 6.0)] * 3)
NAMES = ("asd", "mad", "mad_reverse", "assd", "hd", "hd95")


@st.composite
def pairs(draw):
    shape = draw(SHAPES)
    masks = [draw(arrays(bool, shape)) for _ in range(2)]
    for mask in masks:
        mask.flat[draw(st.integers(0, mask.size - 1))] = True
    return (*masks, draw(SPACINGS))


def numbers(distances, tolerance=1.0):
    return [getattr(distances, name) for name in NAMES] + [distances.nsd(tolerance)]


@settings(deadline=None)
@given(pairs())
def test_swapping_the_masks_swaps_the_directions(case):
    a, b, spacing = case
    there, back = surface_distances(a, b, spacing), surface_distances(b, a, spacing)
    for name in ("asd", "assd", "hd", "hd95"):
        assert getattr(there, name) == pytest.approx(getattr(back, name))
    assert there.mad == pytest.approx(back.mad_reverse)


@settings(deadline=None)
@given(pairs(), st.permutations([0, 1, 2]), st.sets(st.integers(0, 2)))
def test_flipping_and_permuting_axes_with_their_spacing_changes_nothing(case, order, flipped):
    a, b, spacing = case
    moved = [np.flip(mask, tuple(flipped)).transpose(order) for mask in (a, b)]
    there = surface_distances(*moved, [spacing[axis] for axis in order])
    assert numbers(there) == pytest.approx(numbers(surface_distances(a, b, spacing)))


@settings(deadline=None)
@given(pairs(), st.floats(0.1, 10))
def test_distances_scale_with_the_spacing(case, factor):
    a, b, spacing = case
    once = surface_distances(a, b, spacing)
    scaled = surface_distances(a, b, [factor * s for s in spacing])
    assert numbers(scaled)[:-1] == pytest.approx([factor * n for n in numbers(once)[:-1]])


@settings(deadline=None)
@given(pairs())
def test_identical_masks_are_at_no_distance(case):
    a, _, spacing = case
    assert numbers(surface_distances(a, a, spacing), tolerance=0) == [0] * 6 + [1]


@settings(deadline=None)
@given(pairs())
def test_the_metrics_keep_their_order(case):
    a, b, spacing = case
    d = surface_distances(a, b, spacing)
    slack = 1e-9 * (1 + d.hd)
    low, high = sorted([d.mad, d.mad_reverse])
    assert low - slack <= d.asd <= high + slack
    assert low - slack <= d.assd <= high + slack
    assert d.hd95 <= d.hd + slack
    assert 0 <= d.nsd(1.0) <= d.nsd(2.0) <= 1 == d.nsd(d.hd)


@settings(max_examples=30, deadline=None)
@given(SPACINGS, st.tuples(*[st.integers(1, 4)] * 3))
def test_the_farther_a_block_is_dilated_the_farther_its_surface_goes(spacing, size):
    block = np.zeros([n + 8 for n in size], dtype=bool)
    block[tuple(slice(4, 4 + n) for n in size)] = True
    dilated = [block] + [ndimage.binary_dilation(block, iterations=k) for k in (1, 2, 3, 4)]
    found = [surface_distances(mask, block, spacing) for mask in dilated]
    for name in ("asd", "mad", "hd", "hd95"):
        values = [getattr(d, name) for d in found]
        assert values[0] == 0
        assert all(np.diff(values) > 0), name


@settings(deadline=None)
@given(pairs())
def test_dilating_a_prediction_never_lowers_recall(case):
    a, b, _ = case
    values = [recall(*overlap_counts(mask, b)) for mask in (a, ndimage.binary_dilation(a), a | b)]
    assert values[0] <= values[1] <= values[2] == 1
