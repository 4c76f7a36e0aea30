import pytest
import torch

from camzoo.augmentation import augment
from camzoo.config import TrainingConfig


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
