"""Prompts from maps: by hand on small maps, and beside plain loops on random ones."""

import math

import numpy as np
import pytest
import torch

from camzoo.core.errors import ConfigError
from camzoo.refine.prompts import (
    INSIDE,
    NO_POINT,
    OUTSIDE,
    PromptSettings,
    above,
    boxes_around,
    peaks_of,
    prompts_of,
)


def places(points, height, width):
    """Rows and columns of points that are shares of width and height."""
    x, y = points[..., 0] * width - 0.5, points[..., 1] * height - 0.5
    return torch.stack([y, x], dim=-1).round().int().tolist()


def one(rows):
    return torch.tensor(rows)[None, None]


def test_a_point_is_the_middle_of_its_pixel_as_a_share_of_width_and_height():
    maps = torch.zeros(1, 1, 4, 10)
    maps[0, 0, 1, 7] = 1
    prompts = prompts_of(maps, PromptSettings(kind="points", outside=False))
    assert prompts.points.tolist() == [[[[0.75, 0.375]]]]  # 7.5 of 10, 1.5 of 4
    assert prompts.labels.tolist() == [[[INSIDE]]]
    assert prompts.boxes is None


def test_a_box_reaches_from_the_first_to_the_last_pixel_above_the_level():
    maps = one([[0.0, 0.2, 0.0, 0.0, 0.0], [0.0, 0.0, 0.5, 1.0, 0.0], [0.0, 0.0, 0.49, 0.6, 0.0]])
    prompts = prompts_of(maps, PromptSettings(kind="box", level=0.5))
    assert prompts.points is prompts.labels is None
    assert prompts.boxes[0, 0].tolist() == pytest.approx([2.5 / 5, 1.5 / 3, 3.5 / 5, 2.5 / 3])
    wider = prompts_of(maps, PromptSettings(kind="box", level=0.2)).boxes[0, 0]
    assert wider.tolist() == pytest.approx([1.5 / 5, 0.5 / 3, 3.5 / 5, 2.5 / 3])


def test_further_points_lie_apart_and_above_the_level():
    maps = one([[1.0, 0.9, 0.8, 0.0, 0.0, 0.5, 0.0, 0.49]])
    settings = PromptSettings(points=4, apart=0.25, level=0.5)  # 2 pixels of 8
    found, there = peaks_of(maps, settings)
    assert found[0, 0, :3].tolist() == [0, 2, 5]  # 0.9 is 1 pixel from 1.0, 0.8 just far enough
    assert there.tolist() == [[[True, True, True, False]]]


def test_points_that_may_touch_are_all_different():
    maps = one([[0.6, 1.0, 0.8]])
    found, there = peaks_of(maps, PromptSettings(points=3, apart=0, level=0.5))
    assert found.tolist() == [[[1, 2, 0]]]
    assert there.all()


def test_points_outside_are_the_minimum_and_the_maxima_of_others():
    maps = torch.zeros(1, 3, 2, 4) + 0.1
    maps[0, 0, 0, 0], maps[0, 0, 1, 2] = 1.0, 0.0
    maps[0, 1, 0, 3], maps[0, 1, 0, 1] = 0.8, 0.05
    maps[0, 2] = 0  # not in the slice
    prompts = prompts_of(maps, PromptSettings(kind="points"))
    assert places(prompts.points, 2, 4)[0][0] == [[0, 0], [0, 3], [0, 0], [1, 2]]
    assert prompts.labels[0, 0].tolist() == [INSIDE, OUTSIDE, NO_POINT, OUTSIDE]
    assert places(prompts.points, 2, 4)[0][1] == [[0, 3], [0, 0], [0, 0], [0, 1]]
    assert prompts.labels[0, 1].tolist() == [INSIDE, OUTSIDE, NO_POINT, OUTSIDE]
    assert prompts.labels[0, 2, 0] == NO_POINT


def test_organs_with_one_map_do_not_forbid_each_other_their_maximum():
    maps = torch.rand(1, 1, 5, 7, generator=torch.Generator().manual_seed(0)).expand(-1, 2, -1, -1)
    labels = prompts_of(maps, PromptSettings()).labels
    assert labels.tolist() == [[[INSIDE, NO_POINT, OUTSIDE]] * 2]


def test_a_constant_map_has_no_place_outside():
    labels = prompts_of(torch.ones(1, 1, 3, 4), PromptSettings()).labels
    assert labels.tolist() == [[[INSIDE, NO_POINT]]]


def test_an_empty_map_asks_for_nothing():
    maps = torch.zeros(2, 1, 3, 4)
    assert (prompts_of(maps, PromptSettings(points=3, outside=False)).labels == NO_POINT).all()
    assert not above(maps, 0.5).any()


def test_what_reaches_a_level_is_told_for_each_map_by_its_own_maximum():
    maps = torch.tensor([[[[0.2, 0.1, 0.09]], [[4.0, 2.0, 1.9]]]])
    assert above(maps, 0.5).tolist() == [[[[True, True, False]], [[True, True, False]]]]


@pytest.fixture
def random_maps():
    maps = torch.rand(3, 3, 9, 14, generator=torch.Generator().manual_seed(1))
    maps[1, 2] = 0
    return maps


def greedy(plane, count, reach, level):
    """Highest places of one map, pixel by pixel."""
    height, width = plane.shape
    left = [
        (-plane[y, x], y, x) for y in range(height) for x in range(width)
        if plane[y, x] > 0 and plane[y, x] >= level * plane.max()
    ]  # fmt: skip
    found = []
    for _, y, x in sorted(left):
        if len(found) < count and all(math.hypot(y - v, x - u) >= reach for v, u in found):
            found.append([y, x])
    return found


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize(("count", "apart", "level"), [(1, 0.1, 0.5), (4, 0.23, 0.6), (5, 0, 0.9)])
def test_peaks_beside_a_plain_loop(random_maps, classes, count, apart, level):
    maps = random_maps[:, :classes]
    settings = PromptSettings(points=count, apart=apart, level=level)
    found, there = peaks_of(maps, settings)
    for b in range(len(maps)):
        for c in range(classes):
            mine = found[b, c][there[b, c]]
            rows = [[int(place) // 14, int(place) % 14] for place in mine]
            assert rows == greedy(maps[b, c].numpy(), count, apart * 14, level)


def test_boxes_beside_numpy(random_maps):
    inside = above(random_maps, 0.9)
    first, last = boxes_around(inside)
    for b, c in np.ndindex(3, 3):
        rows, columns = np.nonzero(inside[b, c].numpy())
        if len(rows):
            assert divmod(int(first[b, c]), 14) == (rows.min(), columns.min())
            assert divmod(int(last[b, c]), 14) == (rows.max(), columns.max())
    assert divmod(int(first[1, 2]), 14) == (0, 0)
    assert divmod(int(last[1, 2]), 14) == (8, 13)


def test_slices_and_classes_do_not_know_of_each_other(random_maps):
    settings = PromptSettings(points=3, outside=False)
    together = prompts_of(random_maps, settings)
    for b, c in np.ndindex(3, 3):
        alone = prompts_of(random_maps[b : b + 1, c : c + 1], settings)
        assert torch.equal(alone.points[0, 0], together.points[b, c])
        assert torch.equal(alone.boxes[0, 0], together.boxes[b, c])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "lines"}, "points, box or both, got 'lines'"),
        ({"points": 0}, "1 to 32, got 0"),
        ({"points": 33}, "1 to 32, got 33"),
        ({"apart": -0.1}, "0 to 1, got -0.1"),
        ({"level": 0}, "0 < level <= 1, got 0"),
        ({"level": 1.1}, "0 < level <= 1, got 1.1"),
    ],
)
def test_what_is_no_rule(settings, message):
    with pytest.raises(ConfigError, match=message):
        PromptSettings(**settings)
