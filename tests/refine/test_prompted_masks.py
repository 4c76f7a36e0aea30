"""Which mask is taken and what map it becomes: by hand, and beside a plain loop."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from camzoo.refine.prompted_masks import fitting_maps, overlaps
from camzoo.refine.segment_anything import Answers


def answers(masks, quality, strength=3.0):
    """Logits of ± strength of masks [M, h, w], of one prompt."""
    logits = torch.where(torch.tensor(masks) > 0, strength, -strength)[None, None]
    return Answers(logits, torch.tensor(quality)[None, None])


#: Reaches half of its maximum in the first two pixels of four.
MAP = torch.tensor([[[[1.0, 0.5, 0.4, 0.0]]]])
SMALL, RIGHT, WIDE, BESIDE = [[1, 0, 0, 0]], [[1, 1, 0, 0]], [[1, 1, 1, 1]], [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("quality", "taken"),
    [
        ([0.5, 0.5, 0.5], RIGHT),  # overlaps 1/2, 1, 1/2
        ([0.9, 0.4, 0.5], SMALL),  # 0.45, 0.4, 0.25
        ([0.9, 0.46, 0.5], RIGHT),
        ([0.5, 0.4, 0.9], WIDE),
    ],
)
def test_quality_times_overlap_decides(quality, taken):
    found = fitting_maps(answers([SMALL, RIGHT, WIDE], quality), MAP, 0.5)
    expected = expit(np.where(taken, 3.0, -3.0))
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-6)


def test_where_no_mask_meets_the_map_quality_alone_decides():
    nothing = [[0, 0, 0, 0]]
    found = fitting_maps(answers([nothing, BESIDE], [0.3, 0.4]), MAP, 0.5)
    assert (found[0, 0] > 0.5).tolist() == [[False, False, True, True]]


def test_a_mask_that_meets_the_map_is_taken_before_a_surer_one_that_does_not():
    found = fitting_maps(answers([BESIDE, WIDE], [0.99, 0.01]), MAP, 0.5)
    assert (found > 0.5).all()


def test_an_empty_map_stays_empty():
    maps = torch.cat([MAP, torch.zeros(1, 1, 1, 4)], dim=1)
    both = answers([RIGHT], [0.9])
    both = Answers(both.logits.expand(1, 2, -1, -1, -1), both.quality.expand(1, 2, -1))
    found = fitting_maps(both, maps, 0.5)
    assert found[0, 0].max() > 0.9
    assert not found[0, 1].any()


def test_overlap_by_hand():
    first = torch.tensor([[[1, 1, 0, 0]], [[0, 0, 0, 0]], [[0, 0, 0, 0]]]).bool()
    second = torch.tensor([[[0, 1, 1, 0]], [[0, 1, 0, 0]], [[0, 0, 0, 0]]]).bool()
    assert overlaps(first, second).tolist() == [pytest.approx(1 / 3), 0, 0]


def test_beside_a_plain_loop_on_the_grid_of_the_masks():
    draws = torch.Generator().manual_seed(0)
    maps = torch.rand(2, 3, 6, 9, generator=draws)
    logits = torch.randn(2, 3, 4, 6, 9, generator=draws)
    quality = torch.rand(2, 3, 4, generator=draws)
    found = fitting_maps(Answers(logits, quality), maps, 0.7)
    for b, c in np.ndindex(2, 3):
        evident = maps[b, c].numpy() >= 0.7 * maps[b, c].numpy().max()
        masks = logits[b, c].numpy() > 0
        overlap = [(m & evident).sum() / (m | evident).sum() for m in masks]
        best = int(np.argmax(quality[b, c].numpy() * overlap))
        np.testing.assert_allclose(found[b, c], expit(logits[b, c, best].numpy()), rtol=1e-5)


def test_masks_on_a_coarser_square_grid_come_to_the_grid_of_the_maps():
    """A mask of the right half is of the right half on any grid."""
    maps = torch.zeros(1, 1, 12, 20)
    maps[..., 10:] = 1
    right = torch.full((1, 1, 1, 4, 4), -5.0)
    right[..., 2:] = 5
    found = fitting_maps(Answers(right, torch.ones(1, 1, 1)), maps, 0.5)
    assert found.shape == maps.shape
    assert torch.equal(found > 0.5, maps > 0)
