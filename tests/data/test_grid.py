import numpy as np
import pytest
import torch

from camzoo.data.grid import Letterbox


@pytest.mark.parametrize(("height", "width"), [(6, 10), (10, 6), (7, 7), (5, 10)])
def test_there_and_back_on_the_same_side_is_exact(height, width):
    slices = torch.rand(3, height, width)
    box = Letterbox(height, width)
    grid = box.to_grid(slices, box.side)
    assert grid.shape == (3, box.side, box.side)
    assert torch.equal(box.from_grid(grid[:, None])[:, 0], slices)
    assert torch.isclose(grid.sum(), slices.sum())  # nothing but zeros around it


def test_a_slice_is_centred():
    grid = Letterbox(2, 4).to_grid(torch.ones(1, 2, 4), 4)[0]
    assert grid.tolist() == [[0] * 4, [1] * 4, [1] * 4, [0] * 4]


def test_aspect_is_kept_and_position_found_again():
    """A blob at (row 30, column 50) of a 60 x 100 slice comes back to its place."""
    slices = torch.zeros(1, 60, 100)
    slices[0, 28:33, 48:53] = 1
    box = Letterbox(60, 100)
    small = box.to_grid(slices, 50)  # half the side: rows (30 + 20) / 2, columns 50 / 2
    rows, columns = np.nonzero(small[0].numpy() > 0.5)
    assert (rows.mean(), columns.mean()) == pytest.approx((25, 25), abs=0.6)
    back = box.from_grid(small[:, None])[0, 0]
    rows, columns = np.nonzero(back.numpy() > 0.4)
    assert (rows.mean(), columns.mean()) == pytest.approx((30, 50), abs=0.6)


def test_labels_stay_labels():
    labels = torch.zeros(2, 9, 12, dtype=torch.uint8)
    labels[:, 3:6, 4:8] = 3
    grid = Letterbox(9, 12).labels_to_grid(labels, 24)
    assert grid.dtype == torch.uint8
    assert set(grid.unique().tolist()) == {0, 3}
    assert int((grid == 3).sum()) == 2 * 12 * 4  # twice the side, so four times the area
