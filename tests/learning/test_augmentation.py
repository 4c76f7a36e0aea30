import pytest
import torch

from camzoo.config import TrainingConfig
from camzoo.learning.augmentation import augment, augment_planes


def settings(**changes):
    defaults = {"crop": 32, "resize": (32, 32)}
    return TrainingConfig(**(defaults | changes))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_nothing_asked_changes_nothing():
    images = torch.rand(3, 32, 32)
    views = augment(images, settings(), flip=False, generator=generator())
    assert torch.allclose(views, images, atol=1e-5)


def test_about_half_are_mirrored_and_only_left_to_right():
    images = torch.rand(64, 32, 32)
    views = augment(images, settings(), flip=True, generator=generator())
    straight = (views - images).abs().amax((1, 2)) < 1e-4
    mirrored = (views - images.flip(-1)).abs().amax((1, 2)) < 1e-4
    assert (straight | mirrored).all()
    assert 20 < int(mirrored.sum()) < 44


def test_a_larger_long_side_enlarges():
    """A square of 8 pixels is 16 pixels wide at twice the side, wherever the crop lies."""
    images = torch.zeros(40, 32, 32)
    images[:, 12:20, 12:20] = 1
    views = augment(images, settings(resize=(64, 64)), flip=False, generator=generator())
    whole = views[(views[:, 0].sum(1) + views[:, -1].sum(1) + views[:, :, 0].sum(1)
                   + views[:, :, -1].sum(1)) == 0]  # fmt: skip
    assert len(whole) > 5
    assert whole.sum((1, 2)).mean() == pytest.approx(16 * 16, rel=0.02)
    assert views.sum((1, 2)).std() > 1  # the place is random


def test_a_smaller_long_side_is_placed_on_black():
    images = torch.ones(20, 32, 32)
    views = augment(images, settings(resize=(16, 16)), flip=False, generator=generator())
    assert views.sum((1, 2)) == pytest.approx(torch.full((20,), 256.0), rel=0.15)
    places = {tuple(torch.nonzero(view > 0.5)[0].tolist()) for view in views}
    assert len(places) > 10


def test_rotation_keeps_the_distance_from_the_centre():
    images = torch.zeros(30, 32, 32)
    images[:, 4:7, 15:18] = 1
    views = augment(images, settings(rotate=90.0), flip=False, generator=generator())
    axis = torch.arange(32) - 15.5
    mass = views.sum((1, 2))
    y = (views.sum(2) * axis).sum(1) / mass
    x = (views.sum(1) * axis).sum(1) / mass
    assert (y**2 + x**2).sqrt() == pytest.approx(torch.full((30,), 10.55), abs=0.4)
    assert x.std() > 3


def test_jitter_keeps_the_range_and_changes_each_slice_on_its_own():
    images = torch.rand(1, 32, 32).expand(8, 32, 32)
    views = augment(images, settings(jitter=0.3), flip=False, generator=generator())
    assert 0 <= float(views.min()) <= float(views.max()) <= 1
    assert views.mean((1, 2)).std() > 0.01


def test_equal_seeds_give_equal_views():
    images = torch.rand(4, 32, 32)
    config = settings(resize=(20, 60), rotate=20, jitter=0.2)
    one, same, other = (
        augment(images, config, flip=True, generator=generator(s)) for s in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


STRONG = settings(resize=(20, 60), rotate=25, jitter=0.2)


def test_views_are_the_same_whether_planes_travel_along_or_not():
    images = torch.rand(5, 32, 32)
    alone = augment(images, STRONG, flip=True, generator=generator(3))
    views, _ = augment_planes(
        images, torch.rand(5, 2, 8, 8), STRONG, flip=True, generator=generator(3)
    )
    assert torch.equal(alone, views)


def test_a_plane_equal_to_the_slice_is_seen_as_the_slice_but_not_jittered():
    images = torch.rand(5, 32, 32)
    unjittered = augment(
        images, settings(resize=(20, 60), rotate=25), flip=True, generator=generator(3)
    )
    views, planes = augment_planes(
        images, torch.stack([images, 2 * images], 1), STRONG, flip=True, generator=generator(3)
    )
    assert torch.allclose(planes[:, 0], unjittered, atol=1e-6)
    assert torch.allclose(planes[:, 1], 2 * unjittered, atol=1e-6)
    assert not torch.allclose(views, unjittered, atol=1e-3)


def test_coarse_planes_stay_under_the_slice():
    """Blocks of 4 x 4 pixels, each of its own value: the plane of values at a quarter."""
    values = torch.rand(6, 1, 8, 8)
    images = values[:, 0].repeat_interleave(4, 1).repeat_interleave(4, 2)
    config = settings(resize=(32, 32))
    views, planes = augment_planes(images, values, config, flip=True, generator=generator(1))
    assert planes.shape == (6, 1, 8, 8)
    assert torch.allclose(views[:, 2::4, 2::4], planes[:, 0], atol=1e-4)
    assert not torch.allclose(planes, values, atol=1e-2)  # some were mirrored


def test_labels_stay_whole_and_the_outside_is_filled():
    labels = torch.randint(0, 4, (8, 1, 32, 32), dtype=torch.uint8)
    config = settings(resize=(16, 24), rotate=20)
    _, planes = augment_planes(
        torch.ones(8, 32, 32), labels, config, flip=True, generator=generator(), side=16,
        mode="nearest", fill=255,
    )  # fmt: skip
    assert planes.shape == (8, 1, 16, 16)
    assert set(planes.unique().tolist()) == {0, 1, 2, 3, 255}
    # The slice covers (side / crop)^2 of the crop: between a quarter and nine sixteenths.
    inside = (planes < 255).float().mean((1, 2, 3))
    assert inside.min() > 0.2
    assert inside.max() < 0.6
