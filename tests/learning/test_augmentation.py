import pytest
import torch

from camzoo.config import TrainingConfig
from camzoo.learning.augmentation import Augmentation, augment, augment_planes, mirrored


def ranges(**changes):
    return Augmentation(**({"crop": 32, "resize": (32, 32)} | changes))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_nothing_asked_changes_nothing():
    images = torch.rand(3, 32, 32)
    views = augment(images, ranges(), generator())
    assert torch.allclose(views, images, atol=1e-5)


def test_about_half_are_mirrored_and_only_left_to_right():
    images = torch.rand(64, 32, 32)
    views = augment(images, ranges(flip=True), generator())
    straight = (views - images).abs().amax((1, 2)) < 1e-4
    turned = (views - images.flip(-1)).abs().amax((1, 2)) < 1e-4
    assert (straight | turned).all()
    assert 20 < int(turned.sum()) < 44


def test_a_larger_long_side_enlarges():
    """A square of 8 pixels is 16 pixels wide at twice the side, wherever the crop lies."""
    images = torch.zeros(40, 32, 32)
    images[:, 12:20, 12:20] = 1
    views = augment(images, ranges(resize=(64, 64)), generator())
    whole = views[(views[:, 0].sum(1) + views[:, -1].sum(1) + views[:, :, 0].sum(1)
                   + views[:, :, -1].sum(1)) == 0]  # fmt: skip
    assert len(whole) > 5
    assert whole.sum((1, 2)).mean() == pytest.approx(16 * 16, rel=0.02)
    assert views.sum((1, 2)).std() > 1  # the place is random


def test_a_smaller_long_side_is_placed_on_black():
    images = torch.ones(20, 32, 32)
    views = augment(images, ranges(resize=(16, 16)), generator())
    assert views.sum((1, 2)) == pytest.approx(torch.full((20,), 256.0), rel=0.15)
    places = {tuple(torch.nonzero(view > 0.5)[0].tolist()) for view in views}
    assert len(places) > 10


def test_rotation_keeps_the_distance_from_the_centre():
    images = torch.zeros(30, 32, 32)
    images[:, 4:7, 15:18] = 1
    views = augment(images, ranges(rotate=90.0), generator())
    axis = torch.arange(32) - 15.5
    mass = views.sum((1, 2))
    y = (views.sum(2) * axis).sum(1) / mass
    x = (views.sum(1) * axis).sum(1) / mass
    assert (y**2 + x**2).sqrt() == pytest.approx(torch.full((30,), 10.55), abs=0.4)
    assert x.std() > 3


def test_jitter_keeps_the_range_and_changes_each_slice_on_its_own():
    images = torch.rand(1, 32, 32).expand(8, 32, 32)
    views = augment(images, ranges(jitter=0.3), generator())
    assert 0 <= float(views.min()) <= float(views.max()) <= 1
    assert views.mean((1, 2)).std() > 0.01


def test_equal_seeds_give_equal_views():
    images = torch.rand(4, 32, 32)
    strong = ranges(resize=(20, 60), rotate=20, jitter=0.2, flip=True)
    one, same, other = (augment(images, strong, generator(s)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


STRONG = ranges(resize=(20, 60), rotate=25, jitter=0.2, flip=True)


def test_views_are_the_same_whether_planes_travel_along_or_not():
    images = torch.rand(5, 32, 32)
    alone = augment(images, STRONG, generator(3))
    views, _ = augment_planes(images, torch.rand(5, 2, 8, 8), STRONG, generator(3))
    assert torch.equal(alone, views)


def test_a_plane_equal_to_the_slice_is_seen_as_the_slice_but_not_jittered():
    images = torch.rand(5, 32, 32)
    unjittered = augment(images, ranges(resize=(20, 60), rotate=25, flip=True), generator(3))
    views, planes = augment_planes(
        images, torch.stack([images, 2 * images], 1), STRONG, generator(3)
    )
    assert torch.allclose(planes[:, 0], unjittered, atol=1e-6)
    assert torch.allclose(planes[:, 1], 2 * unjittered, atol=1e-6)
    assert not torch.allclose(views, unjittered, atol=1e-3)


def test_coarse_planes_stay_under_the_slice():
    """Blocks of 4 x 4 pixels, each of its own value: the plane of values at a quarter."""
    values = torch.rand(6, 1, 8, 8)
    images = values[:, 0].repeat_interleave(4, 1).repeat_interleave(4, 2)
    whole = ranges(flip=True)
    views, planes = augment_planes(images, values, whole, generator(1))
    assert planes.shape == (6, 1, 8, 8)
    assert torch.allclose(views[:, 2::4, 2::4], planes[:, 0], atol=1e-4)
    assert not torch.allclose(planes, values, atol=1e-2)  # some were mirrored


def test_labels_stay_whole_and_the_outside_is_filled():
    labels = torch.randint(0, 4, (8, 1, 32, 32), dtype=torch.uint8)
    small = ranges(resize=(16, 24), rotate=20, flip=True)
    _, planes = augment_planes(
        torch.ones(8, 32, 32), labels, small, generator(), side=16,
        mode="nearest", fill=255,
    )  # fmt: skip
    assert planes.shape == (8, 1, 16, 16)
    assert set(planes.unique().tolist()) == {0, 1, 2, 3, 255}
    # The slice covers (side / crop)^2 of the crop: between a quarter and nine sixteenths.
    inside = (planes < 255).float().mean((1, 2, 3))
    assert inside.min() > 0.2
    assert inside.max() < 0.6


def test_mirroring_is_off_where_organs_have_a_side():
    assert mirrored("auto", sided=False)
    assert not mirrored("auto", sided=True)
    assert mirrored("always", sided=True)
    assert not mirrored("never", sided=False)


def test_the_ranges_are_those_of_the_recipe():
    recipe = TrainingConfig(crop=40, resize=(20, 60), rotate=3.0, jitter=0.1)
    assert Augmentation.of(recipe, sided=True) == Augmentation(40, (20, 60), 3.0, 0.1, flip=False)
    assert Augmentation.of(recipe, sided=False).flip
