import pytest
import torch

from camzoo.core.errors import ConfigError
from camzoo.refine.neighbours import ends, half_plane, line


def test_offsets_within_a_radius_of_two_and_three():
    assert half_plane(2) == ((0, 1), (1, -1), (1, 0), (1, 1))
    # 2 and (2, 1) lie within 3; (2, 2) does too, at 2.83.
    assert len(half_plane(3)) == 2 + 5 + 5


@pytest.mark.parametrize(("radius", "count"), [(5, 34), (10, 152)])
def test_the_papers_counts(radius, count):
    offsets = half_plane(radius)
    assert len(set(offsets)) == count
    opposite = {(-dy, -dx) for dy, dx in offsets}
    assert not opposite & set(offsets)
    assert len(opposite | set(offsets)) == sum(
        0 < y * y + x * x < radius**2
        for y in range(-radius, radius + 1)
        for x in range(-radius, radius + 1)
    )


def test_a_radius_without_neighbours_is_refused():
    with pytest.raises(ConfigError, match="2 pixels or more, got 1"):
        half_plane(1)


def test_lines_by_hand():
    assert line((0, 3)) == ((0, 0), (0, 1), (0, 2), (0, 3))
    # On the diagonal the neighbours of its pixels are 0.71 off and belong to it.
    assert set(line((1, 1))) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    # |2x - y| / sqrt(5) < 1 for (dy, dx) = (2, 1): all six but none is 1 or more off.
    assert set(line((2, 1))) == {(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)}
    # |3x + y| / sqrt(10) < 1 for (3, -1): (3, 0) and (0, -1) are 3 / sqrt(10) = 0.95 off.
    assert (3, 0) in line((3, -1))
    # |4x - y| / sqrt(17) < 1 fails by 4 / sqrt(17) = 0.97 only; for (4, 2) |4x - 2y| / sqrt(20).
    assert set(line((4, 2))) == {
        (0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (2, 2), (3, 2), (4, 2),
    }  # fmt: skip


@pytest.mark.parametrize("offset", half_plane(5))
@pytest.mark.parametrize("size", [(3, 4), (6, 5), (9, 2)])
def test_ends_are_all_pairs_on_the_grid(offset, size):
    grid = torch.arange(size[0] * size[1]).view(size)
    first, second = (grid[window].flatten().tolist() for window in ends(*size, offset))
    expected = [
        (y * size[1] + x, (y + offset[0]) * size[1] + x + offset[1])
        for y in range(size[0])
        for x in range(size[1])
        if y + offset[0] < size[0] and 0 <= x + offset[1] < size[1]
    ]
    assert list(zip(first, second, strict=True)) == expected
