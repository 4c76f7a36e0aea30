import math

import numpy as np
import pytest

from camzoo.data.phantom.canvas import Grid, TissueMaps
from camzoo.data.phantom.scanner import GAIN, Streams, Texture, acquire

GRID = Grid((6, 60, 84), (4.0, 1.0, 1.0), (0.0, 0.0, 0.0))
TEXTURE = Texture((4.0, 2.0, 2.0), (8.0, 6.0, 6.0), (12.0, 9.0, 9.0), 0.2)
FLAT = np.ones(GRID.shape, np.float32)
NONE = np.zeros(GRID.shape, np.float32)


def streams(seed=0):
    return Streams(*(np.random.default_rng([seed, i]) for i in range(4)))


def gain(seed=0):
    return GAIN[0] * math.exp(GAIN[1] * streams(seed).gain.standard_normal())


def scan(signal, *, grain=NONE, strand=NONE, sigma=0.0, bias=0.0, seed=0):
    """The image in units of the signal."""
    maps = TissueMaps(signal, grain, strand, np.zeros(GRID.shape, np.uint8), signal > 9)
    image = acquire(maps, GRID, streams(seed), TEXTURE, sigma=sigma, bias=bias)
    assert image.dtype == np.int16
    assert image.shape == GRID.shape
    return image / gain(seed)


def test_without_noise_shading_or_texture_the_signal_comes_back_in_arbitrary_units():
    np.testing.assert_allclose(scan(FLAT), 1, atol=1 / gain())
    assert gain(1) != gain(2)


def test_noise_in_air_is_rayleigh():
    air = scan(NONE, sigma=0.5)
    assert air.mean() == pytest.approx(0.5 * math.sqrt(math.pi / 2), rel=0.02)
    assert (air**2).mean() == pytest.approx(2 * 0.5**2, rel=0.03)


def test_noise_on_strong_signal_is_gaussian_with_the_stated_sigma():
    strong = scan(20 * FLAT, sigma=0.5)
    assert strong.std() == pytest.approx(0.5, rel=0.03)
    assert strong.mean() == pytest.approx(math.sqrt(20**2 + 0.5**2), rel=1e-3)


def test_the_highest_frequencies_are_not_acquired():
    comb = FLAT.copy()
    comb[..., ::2] = 3.0  # alternates at the Nyquist frequency of x about a mean of 2
    np.testing.assert_allclose(scan(comb), 2, atol=2 / gain())


def test_an_edge_rings_and_keeps_its_levels_far_away():
    step = FLAT.copy()
    step[:, :30] = 4.0
    image = scan(step)
    assert image[:, 15].mean() == pytest.approx(4, rel=0.02)
    assert image[:, 45].mean() == pytest.approx(1, rel=0.05)
    assert image[:, 25:30].max() > 4.1


def test_shading_is_smooth_multiplicative_and_as_strong_as_the_dial_says():
    weak, strong = (np.log(scan(40 * FLAT, bias=b) / 40) for b in (0.2, 0.4))
    np.testing.assert_allclose(strong, 2 * weak, atol=0.02)
    assert weak.std() > 0.005
    # Away from the border, where the periodic transform rings.
    assert np.abs(np.diff(strong, axis=2))[:, 10:-10, 10:-10].max() < 0.05
    fields = [np.log(scan(40 * FLAT, bias=0.4, seed=s)[3, 30, 40] / 40) for s in range(60)]
    assert np.std(fields) == pytest.approx(0.4, rel=0.3)


def test_texture_has_the_relative_strength_of_the_tissue():
    grain = (scan(10 * FLAT, grain=0.1 * FLAT) / 10).std()
    assert 0.05 < grain < 0.11  # the finest part of it is not resolved
    lines = scan(10 * FLAT, strand=0.5 * FLAT) / 10
    assert lines.min() > 0.9
    assert 1.2 < lines.max() < 1.9


def test_a_signal_is_never_negative_before_the_scanner_sees_it():
    assert scan(FLAT, strand=-5 * FLAT).min() >= 0
    assert scan(FLAT, strand=-5 * FLAT).max() < 1.5


def test_streams_are_independent():
    quiet, noisy = (scan(10 * FLAT, grain=0.1 * FLAT, sigma=s) for s in (0.0, 0.01))
    assert np.abs(quiet - noisy).max() < 0.1
