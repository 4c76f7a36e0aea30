import numpy as np
import pytest
import torch

from camzoo.core.errors import ConfigError, DataError
from camzoo.data.slices import TaggedSlices
from camzoo.steps.ccam.anatomy_causality import allowed_places
from camzoo.steps.ccam.global_context import coarse_masks, context_map, resized

ORGANS = ("liver", "spleen")


def tagged(tags):
    tags = np.array(tags, np.uint8)
    store = np.zeros((len(tags), 8, 8), np.uint8)
    return TaggedSlices(store, np.arange(len(tags)), tags, ORGANS, True, (("a", 0, len(tags)),))


#: Three slices of 2 x 2 places.
LABELS = np.array([[[0, 1], [1, 2]], [[0, 1], [0, 2]], [[0, 0], [1, 1]]], np.uint8)
THREE = tagged([[1, 1], [1, 1], [1, 0]])


def test_counts_and_frequencies_by_hand():
    counted = context_map(LABELS, THREE)
    assert counted.counts.tolist() == [
        [[3, 1], [1, 0]], [[0, 2], [2, 1]], [[0, 0], [0, 2]],
    ]  # fmt: skip
    assert counted.slices == 3
    torch.testing.assert_close(counted.frequency()[0], torch.tensor([[0, 2 / 3], [2 / 3, 1 / 3]]))
    # The spleen is in two slices, and both have it in that corner.
    assert counted.frequency(per_class=True)[1, 1, 1] == 1
    assert counted.never_found == ()


def test_with_the_background_the_context_sums_to_one():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (7, 5, 5)).astype(np.uint8)
    counted = context_map(labels, tagged([[1, 1]] * 7))
    torch.testing.assert_close(counted.with_background.sum(0), torch.ones(5, 5))


def test_coarse_masks_are_the_pseudo_masks_of_the_asked_slices():
    maps = np.zeros((3, 2, 2, 2), np.float16)
    maps[2, 0] = [[0.9, 0.5], [0.2, 0.6]]
    maps[2, 1] = [[0.1, 0.4], [0.3, 0.7]]
    masks = coarse_masks(maps, 0.5, np.array([2]))
    assert masks.tolist() == [[[1, 0], [0, 2]]]  # 0.5 is not above 0.5


def test_a_class_that_is_never_found_is_named_and_allows_nothing():
    counted = context_map(np.minimum(LABELS, 1), THREE)
    assert counted.never_found == ("spleen",)
    assert not allowed_places(counted, 0.0, "share")[1].any()
    assert not allowed_places(counted, 0.0, "winner")[1].any()


def test_allowed_places_by_hand():
    counted = context_map(LABELS, THREE)
    share = [allowed_places(counted, tau, "share")[0].int().tolist() for tau in (0.0, 0.4, 0.5)]
    # Counts of the liver are 0, 2, 2, 1: half of the largest is not more than half of it.
    assert share == [[[0, 1], [1, 1]], [[0, 1], [1, 1]], [[0, 1], [1, 0]]]
    winner = allowed_places(counted, 0.0, "winner").int().tolist()
    # In the last corner the liver has 1 of its 3 slices, the spleen both of its 2.
    assert winner == [[[0, 1], [1, 0]], [[0, 0], [0, 1]]]


@pytest.mark.parametrize(
    ("labels", "slices", "error", "message"),
    [
        (LABELS[:0], tagged(np.zeros((0, 2))), DataError, "of the 0 that came 0 have none"),
        (LABELS, tagged([[1, 1], [0, 0], [1, 0]]), DataError, "of the 3 that came 1 have none"),
        (LABELS[:2], THREE, ConfigError, r"\[3, s, s\], got \(2, 2, 2\): they belong to other"),
        (LABELS[:, :1], THREE, ConfigError, r"expected square coarse masks .* got \(3, 1, 2\)"),
        (LABELS + 1, THREE, ConfigError, "hold class 3, there are 2 organs"),
    ],
)
def test_masks_of_other_slices_are_refused(labels, slices, error, message):
    with pytest.raises(error, match=message):
        context_map(labels, slices)


def test_resizing_keeps_frequencies():
    planes = torch.rand(1, 2, 12, 12)
    small = resized(planes, 6)
    assert small.shape == (1, 2, 6, 6)
    torch.testing.assert_close(small.mean((2, 3)), planes.mean((2, 3)), atol=0.02, rtol=0)
    assert resized(planes, 12) is planes
