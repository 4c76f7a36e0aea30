import math

import numpy as np
import pytest
import torch
from camzoo_baselines.dsrg import Dsrg, DsrgLoss, flooded, found_labels, grown, sure_labels
from camzoo_baselines.seeds import cues_of_maps
from scipy.ndimage import label as components

from camzoo.core.errors import ConfigError
from camzoo.core.supervision import Supervision
from camzoo.data.labels import UNKNOWN
from camzoo.refine.crf import CrfSettings
from camzoo.registries import baselines
from tests.baselines.scenes import cores_context
from tests.segment.toy import toy_context, toy_masks

CORNERS_TOO = np.ones((3, 3))


def drawn(*rows):
    """Labels int64 [1, h, w] of a picture: digits are classes, dots unknown."""
    numbers = [[UNKNOWN if c == "." else int(c) for c in row] for row in rows]
    return torch.tensor(numbers)[None]


def spiral(side):
    """One winding path of pixels that only touch the next one."""
    path = np.zeros((side, side), bool)
    y, x, dy, dx = 0, 0, 0, 1
    path[0, 0] = True
    turns = 0
    while turns < 2:
        ahead = y + 2 * dy, x + 2 * dx
        near = y + dy, x + dx
        inside = 0 <= near[0] < side and 0 <= near[1] < side
        blocked = 0 <= ahead[0] < side and 0 <= ahead[1] < side and path[ahead]
        if not inside or blocked or path[near]:
            dy, dx, turns = dx, -dy, turns + 1
            continue
        (y, x), turns = near, 0
        path[y, x] = True
    return path


def touched(marks, region):
    """Components of ``region`` with a mark, by SciPy."""
    numbers, _ = components(region, CORNERS_TOO)
    return np.isin(numbers, np.setdiff1d(numbers[marks & region], 0))


def test_floods_reach_what_scipy_finds_connected():
    rng = np.random.default_rng(0)
    regions = rng.random((3, 2, 19, 27)) < np.array([0.25, 0.35, 0.5])[:, None, None, None]
    marks = rng.random(regions.shape) < 0.02
    found = flooded(torch.from_numpy(marks), torch.from_numpy(regions)).numpy()
    expected = [
        [touched(m, r) for m, r in zip(*pair, strict=True)]
        for pair in zip(marks, regions, strict=True)
    ]
    assert np.array_equal(found, expected)
    assert 0 < found.sum() < regions.sum()


def test_floods_reach_the_end_of_a_spiral():
    region = spiral(15)
    assert region.sum() > 80
    assert components(region)[1] == 1
    mark = np.zeros_like(region)
    mark[0, 0] = True
    found = flooded(*(torch.from_numpy(x)[None, None] for x in (mark, region)))[0, 0]
    assert np.array_equal(found, region)


def test_growth_by_hand():
    """Over corners, not over gaps or seeds of others; what touches no seed of its own stays out."""
    seeds = drawn(
        "1......",
        ".......",
        "...2...",
        "0......",
    )
    labels = drawn(
        ".11.1..",
        "...1..2",
        "..22.22",
        ".00.1.2",
    )
    expected = drawn(
        "111.1..",
        "...1...",
        "..22...",
        "000....",
    )
    assert torch.equal(grown(seeds, labels, 3), expected)


def test_seeds_stay_where_another_class_is_sure():
    seeds, labels = drawn("1.2.0"), drawn("22211")
    assert torch.equal(grown(seeds, labels, 3), drawn("122.0"))


def test_growth_is_that_of_components_of_every_class():
    """Each class by itself with SciPy; slices of a batch do not mix."""
    rng = np.random.default_rng(1)
    shape = (4, 13, 22)
    labels = rng.integers(0, 3, shape)
    labels[rng.random(shape) < 0.4] = UNKNOWN
    seeds = np.where(rng.random(shape) < 0.02, rng.integers(0, 3, shape), UNKNOWN)
    expected = seeds.copy()
    merged = np.where(seeds == UNKNOWN, labels, seeds)
    for which in range(4):
        for number in range(3):
            hit = touched(seeds[which] == number, merged[which] == number)
            expected[which][hit] = number
    found = grown(torch.from_numpy(seeds), torch.from_numpy(labels), 3).numpy()
    assert np.array_equal(found, expected)
    assert (found != seeds).any()


def test_labels_are_sure_by_their_class_and_follow_tags():
    """The second organ is most probable and not shown; the background has to be surer."""
    planes = torch.tensor(
        [[0.95, 0.995, 0.1, 0.05, 0.1], [0.03, 0.003, 0.86, 0.84, 0.2], [0.02, 0.002, 0, 0, 0.7]]
    )[None, :, None]
    labels = sure_labels(planes, torch.tensor([[1.0, 0.0]]), 0.85, 0.99)
    assert labels.tolist() == [[[UNKNOWN, 0, 1, UNKNOWN, UNKNOWN]]]
    labels = sure_labels(planes, torch.tensor([[1.0, 0.0]]), 0.0, 0.0)
    assert labels.tolist() == [[[0, 0, 1, 1, 1]]]
    labels = sure_labels(planes, torch.tensor([[1.0, 1.0]]), 0.6, 0.99)
    assert labels.tolist() == [[[UNKNOWN, 0, 1, 1, 2]]]


def output_of(organ, grey=0.5):
    """Network output [1, 3, s, s] with probabilities of one organ [s, s], and a flat slice."""
    planes = torch.stack((1 - organ, organ)).log()
    return torch.cat([planes, torch.full_like(organ, grey)[None]])[None]


def test_the_loss_by_hand():
    """A row of 4 pixels at 0.9 with one seed, 12 pixels at 0.5 with two seeds of the background.

    Grown, all four pixels of the row cost -ln 0.9; were growth left out, the mean would be the
    same, so one pixel of the row is at 0.99. Its mean and that of the background count alike.
    """
    organ = torch.full((4, 4), 0.5)
    organ[0] = torch.tensor([0.9, 0.9, 0.9, 0.99])
    cues = torch.full((1, 4, 4), UNKNOWN)
    cues[0, 0, 0], cues[0, 2, 1], cues[0, 3, 3] = 1, 0, 0
    loss = DsrgLoss(4, CrfSettings(iterations=0), 0.85, 0.99)
    row, rest = -(3 * math.log(0.9) + math.log(0.99)) / 4, math.log(2)
    value = loss(output_of(organ), cues, torch.ones(1, 1))
    assert value.item() == pytest.approx(row + rest, abs=1e-3)
    cautious = DsrgLoss(4, CrfSettings(iterations=0), 0.95, 0.99)
    value = cautious(output_of(organ), cues, torch.ones(1, 1))
    assert value.item() == pytest.approx(-math.log(0.9) + rest, abs=1e-3)


def test_seeds_grow_over_what_the_crf_makes_of_the_network():
    """The network gives a column 0.9 and the rest 0.6; the CRF is sure of the left half."""
    fine = torch.full((1, 2, 4, 4), 0.5)
    fine[0, :, :, :2] = torch.tensor([0.4, 0.6])[:, None, None]
    fine[0, :, :, 0] = torch.tensor([0.1, 0.9])[:, None]
    smooth = torch.full((1, 2, 4, 4), 0.5)
    smooth[0, :, :, :2] = torch.tensor([0.05, 0.95])[:, None, None]
    cues = torch.full((1, 4, 4), UNKNOWN)
    cues[0, 3, 0] = 1
    loss = DsrgLoss(4, CrfSettings(), 0.85, 0.99)
    value = loss.compare(fine, fine, smooth, cues, torch.ones(1, 1))
    assert value.item() == pytest.approx(-(math.log(0.9) + math.log(0.6)) / 2)


def test_growth_on_a_coarse_grid_leaves_fine_seeds_as_they_are():
    smooth = torch.zeros(1, 2, 4, 4)
    smooth[:, 0] = 1
    smooth[0, :, 1:3, 1:3] = torch.tensor([0.0, 1.0])[:, None, None]
    cues = torch.full((1, 8, 8), UNKNOWN)
    cues[0, 3, 3] = 1  # seen on the coarse grid
    cues[0, 4, 4] = 0  # not seen there, and kept
    seeds = DsrgLoss(4, CrfSettings(), 0.85, 0.99)._grown(smooth, cues, torch.ones(1, 1))
    expected = torch.full((8, 8), UNKNOWN)
    expected[2:6, 2:6] = 1
    expected[4, 4] = 0
    assert torch.equal(seeds[0], expected)


def test_what_the_first_network_finds_teaches_the_second(tmp_path):
    """Of squares whose middle is seeded it finds all, and nothing where seeds say background."""
    context = cores_context(tmp_path, epochs=10)
    baseline = Dsrg()
    baseline.fit(context)
    masks = toy_masks(context.train)[:, ::2, ::2]
    assert (baseline.pseudo == masks)[masks > 0].mean() > 0.95
    maps, tags = context.maps("cam").maps, context.train.tags
    far = cues_of_maps(maps, tags, 32, high=0.7, low=0.3) == 0
    assert (baseline.pseudo[far] > 0).mean() < 0.05
    assert not baseline.pseudo[~context.train.tags.any(axis=1)].any()
    assert {path.stem for path in tmp_path.glob("*.safetensors")} == {"unet-from-seeds", "unet"}
    assert baseline.predict(context.val.images(slice(0, 3))).shape == (3, 3, 32, 32)


class Fixed:
    """A network that finds the second organ everywhere."""

    def __init__(self, context):
        self.config = context.config.segmentation

    def predict(self, images):
        return torch.tensor([0.1, 0.2, 0.7])[:, None, None].expand(len(images), 3, 32, 32)


def test_labels_are_what_tags_allow(tmp_path):
    context = toy_context(tmp_path, count=20)
    labels = found_labels(Fixed(context), context.train)
    assert labels.dtype == np.uint8
    assert labels.shape == (20, 32, 32)
    shown = {(0, 0): 0, (1, 0): 1, (0, 1): 2, (1, 1): 2}
    for label, tags in zip(labels, context.train.tags, strict=True):
        assert (label == shown[tuple(tags)]).all()


def test_it_is_registered_and_sees_tags_alone():
    assert baselines.get("dsrg") is Dsrg
    assert Dsrg.supervision is Supervision.IMAGE
    assert Dsrg.reads == ("cam",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"organ_sure": 1.1}, "got 1.1 and 0.99"),
        ({"background_sure": -0.1}, "and -0.1"),
        ({"grid": 0}, "grid >= 1"),
        ({"intensity": 0.0}, "a CRF needs"),
    ],
)
def test_what_it_cannot_use_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        Dsrg(**change)
