"""What disturbs slices: deterministic, within the greys, of the stated size, and undone."""

import numpy as np
import pytest

from camzoo.cams.disturbances import (
    DISTURBANCES,
    BiasField,
    Mirror,
    Noise,
    Spacing,
    disturb,
)
from camzoo.core.errors import ConfigError
from camzoo.data.slices import TaggedSlices

GREY = np.random.default_rng(0).integers(0, 256, (3, 24, 24)).astype(np.uint8)


def drawn(disturbance, images, seed=0):
    return disturbance.apply(images, np.random.default_rng(seed))


def tagged(images, *cases, skip=0):
    """Slices of cases of so many slices each, behind ``skip`` others in the store."""
    stops = np.cumsum([count for _, count in cases]).tolist()
    store = np.concatenate([np.zeros((skip, *images.shape[1:]), np.uint8), images])
    return TaggedSlices(
        store=store, rows=np.arange(skip, skip + len(images)),
        tags=np.ones((len(images), 1), np.uint8), organs=("organ",), sided=False,
        cases=tuple(
            (case, stop - count, stop) for (case, count), stop in zip(cases, stops, strict=True)
        ),
    )  # fmt: skip


@pytest.mark.parametrize("name", DISTURBANCES)
def test_slices_stay_slices(name):
    images = GREY.copy()
    changed = drawn(DISTURBANCES[name], images)
    assert (changed.shape, changed.dtype) == (GREY.shape, np.uint8)
    assert (images == GREY).all()  # what is given is left as it is
    assert (changed != GREY).mean() > 0.5
    assert (changed == drawn(DISTURBANCES[name], images)).all()
    black, white = np.zeros_like(GREY), np.full_like(GREY, 255)
    for extreme in (black, white):  # nothing runs over from white to black
        assert np.abs(drawn(DISTURBANCES[name], extreme).astype(int) - extreme).max() < 128


@pytest.mark.parametrize("name", ["noise", "bias field"])
def test_another_draw_is_another_disturbance(name):
    assert (drawn(DISTURBANCES[name], GREY, 1) != drawn(DISTURBANCES[name], GREY, 2)).mean() > 0.5


def test_noise_has_the_stated_size():
    """Far above the noise it is nearly normal around x + sigma^2 / 2x; on black, Rayleigh."""
    sigma = 0.05 * 255
    bright = drawn(Noise(0.05), np.full((4, 64, 64), 128, np.uint8)).astype(float)
    assert bright.std() == pytest.approx(sigma, rel=0.05)
    assert bright.mean() == pytest.approx(128 + sigma**2 / 256, abs=0.5)
    dark = drawn(Noise(0.05), np.zeros((4, 64, 64), np.uint8)).astype(float)
    assert dark.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.05)
    assert (drawn(Noise(0), GREY) == GREY).all()


def test_every_pixel_has_noise_of_its_own():
    changed = drawn(Noise(0.1), np.full((2, 32, 32), 128, np.uint8)).astype(float)
    assert abs(np.corrcoef(changed[0].ravel(), changed[1].ravel())[0, 1]) < 0.1
    assert abs(np.corrcoef(changed[0, 1:].ravel(), changed[0, :-1].ravel())[0, 1]) < 0.1


def test_the_field_has_the_stated_range_and_is_smooth():
    field = BiasField(4.0).field(65, np.random.default_rng(3))
    assert (field.min(), field.max()) == (pytest.approx(0.5), pytest.approx(2))
    steps = [np.abs(np.diff(np.log(field), axis=axis)).max() for axis in (0, 1)]
    assert max(steps) < np.log(4) / 10  # a jump of white noise would be as large as the range
    # A polynomial of third order: fourth differences of its logarithm vanish, third ones do not.
    log = np.log(field.astype(float))
    assert np.abs(np.diff(log, 4, axis=0)).max() < 1e-5
    assert np.ptp(log, axis=0).min() > 0
    assert np.ptp(log, axis=1).min() > 0


def test_a_case_has_one_field_that_multiplies():
    flat = np.full((2, 33, 33), 100, np.uint8)
    first, second = drawn(BiasField(2.0), flat)
    assert (first == second).all()
    assert (first.min(), first.max()) == (71, 141)  # 100 / sqrt(2), 100 * sqrt(2)
    half = drawn(BiasField(2.0), flat // 2)
    assert np.abs(half[0] - first / 2).max() <= 1
    assert (drawn(BiasField(2.0), np.zeros_like(flat)) == 0).all()


def test_a_mirror_is_undone_exactly():
    mirror, odd = Mirror(), GREY[..., :23, :23]
    for images in (GREY, odd):
        changed = drawn(mirror, images)
        assert (changed[:, :, 0] == images[:, :, -1]).all()
        assert (mirror.undo(changed) == images).all()
    maps = np.random.default_rng(0).random((2, 3, 5, 7))
    assert (mirror.undo(mirror.undo(maps)) == maps).all()
    assert (mirror.undo(maps)[..., 0] == maps[..., -1]).all()
    assert mirror.exchanges_sides
    assert not any(DISTURBANCES[name].exchanges_sides for name in ("noise", "bias field"))


def test_spacing_loses_detail_and_nothing_else():
    board = np.indices((24, 24)).sum(axis=0) % 2 * 200
    slope = np.arange(24)[None, :] * np.full((24, 1), 8)
    fine, coarse = drawn(Spacing(2), np.stack([board, slope]).astype(np.uint8)).astype(int)
    # Of detail a quarter is left at the border, where bilinear weights have fewer neighbours.
    assert np.abs(fine - 100)[2:-2, 2:-2].max() <= 13
    assert np.abs(coarse - slope)[:, 2:-2].max() <= 1
    assert abs(GREY.mean() - drawn(Spacing(3), GREY).mean()) < 2
    assert (drawn(Spacing(1), GREY) == GREY).all()


def test_maps_of_the_others_stay_where_they_are():
    maps = np.random.default_rng(0).random((1, 2, 3, 4))
    for name in ("noise", "bias field", "spacing"):
        assert DISTURBANCES[name].undo(maps) is maps


@pytest.mark.parametrize("name", ["noise", "bias field"])
def test_a_case_is_disturbed_alike_whatever_stands_beside_it(name):
    several = disturb(tagged(GREY, ("a", 1), ("b", 2), skip=2), name, DISTURBANCES[name], 0)
    alone = disturb(tagged(GREY[1:], ("b", 2)), name, DISTURBANCES[name], 0)
    assert (several.images(slice(1, 3)) == alone.images(slice(None))).all()
    assert several.images(slice(0, 1)).shape == (1, 24, 24)
    other = disturb(tagged(GREY[1:], ("b", 2)), name, DISTURBANCES[name], 1)
    assert (other.images(slice(None)) != alone.images(slice(None))).any()
    same_images = disturb(tagged(GREY[1:], ("c", 2)), name, DISTURBANCES[name], 0)
    assert (same_images.images(slice(None)) != alone.images(slice(None))).any()


def test_tags_and_cases_are_kept():
    slices = tagged(GREY, ("a", 1), ("b", 2), skip=2)
    changed = disturb(slices, "mirror", Mirror(), 0)
    assert (changed.cases, changed.organs) == (slices.cases, slices.organs)
    assert (changed.tags == slices.tags).all()
    assert (changed.images(slice(None)).numpy() == GREY[..., ::-1]).all()
    assert (slices.images(slice(None)).numpy() == GREY).all()


@pytest.mark.parametrize(
    "make", [lambda: Noise(-0.1), lambda: BiasField(0.5), lambda: Spacing(0)],
)  # fmt: skip
def test_sizes_that_make_no_sense_are_refused(make):
    with pytest.raises(ConfigError, match="takes"):
        make()


@pytest.mark.parametrize("name", DISTURBANCES)
def test_each_says_what_it_does_with_its_numbers(name):
    assert len(DISTURBANCES[name].meaning.split()) > 5
    assert Noise(0.25).meaning.count("25 %") == 1
    assert "0.50 to 2.00" in BiasField(4).meaning
    assert "3 times" in Spacing(3).meaning
