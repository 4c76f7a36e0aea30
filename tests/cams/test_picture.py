"""Maps over images."""

import numpy as np
import pytest
import torch
from matplotlib import colormaps

import camzoo
from camzoo.cams.picture import COLOURS
from camzoo.core.errors import ConfigError


def test_values_by_hand():
    """Two pixels: black under no evidence, white under the most."""
    picture = camzoo.overlay([[2.0, 4.0]], [[-1.0, 3.0]], opacity=0.25)
    none, most = (np.array(colormaps[COLOURS](value)[:3]) for value in (0.0, 1.0))
    assert picture.dtype == np.uint8
    assert picture.shape == (1, 2, 3)
    assert picture[0, 0].tolist() == np.rint(255 * 0.25 * none).tolist()
    assert picture[0, 1].tolist() == np.rint(255 * (0.75 + 0.25 * most)).tolist()


@pytest.mark.parametrize("shape", [(6, 9), (1, 6, 9), (3, 6, 9), (6, 9, 3), (6, 9, 1), (3, 6, 3)])
def test_images_of_all_kinds(shape):
    picture = camzoo.overlay(torch.rand(shape).bfloat16(), torch.rand(2, 3, requires_grad=True))
    rows, columns = (6, 9) if 9 in shape else (3, 6)
    assert picture.shape in {(rows, columns, 3), (6, 3, 3)}


def test_grey_in_colour_is_the_same_and_flat_images_and_maps_are_pictures():
    grey = np.random.default_rng(0).random((5, 7))
    saliency = np.random.default_rng(1).random((2, 2))
    same = camzoo.overlay(np.stack([grey] * 3), saliency)
    assert np.array_equal(camzoo.overlay(grey, saliency), same)
    flat = camzoo.overlay(np.ones((5, 7)), -np.ones((2, 2)))
    assert (flat == flat[0, 0]).all()


def test_a_map_is_stretched_over_the_image():
    picture = camzoo.overlay(np.zeros((4, 8)), [[0.0, 1.0]], opacity=1)
    assert (
        picture[:, 0].tolist()
        == [np.rint(255 * np.array(colormaps[COLOURS](0.0)[:3])).tolist()] * 4
    )
    brightness = picture.astype(int).sum((0, 2))
    assert (np.diff(brightness) >= 0).all()


def test_brightness_rises_evenly():
    """The eye's measure of it: luminance, by Rec. 709, of the colours in linear light."""
    colours = colormaps[COLOURS](np.linspace(0, 1, 32))[:, :3]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722] + 1e-9) - 16
    assert (np.diff(lightness) > 0).all()


@pytest.mark.parametrize(
    ("image", "saliency", "options", "message"),
    [
        (np.zeros((2, 3, 4, 4)), np.zeros((2, 2)), {}, "expected one image"),
        (np.zeros((4, 4, 4)), np.zeros((2, 2)), {}, "expected one image"),
        (np.zeros(4), np.zeros((2, 2)), {}, "expected one image"),
        (np.zeros((4, 4)), np.zeros((3, 2, 2)), {}, "expected the map of one image and class"),
        (np.zeros((4, 4)), np.full((2, 2), np.nan), {}, "the map of shape .* not finite"),
        (np.full((4, 4), np.inf), np.zeros((2, 2)), {}, "the image of shape .* not finite"),
        (np.zeros((0, 4)), np.zeros((2, 2)), {}, "the image of shape .* is empty"),
        ("x.png", np.zeros((2, 2)), {}, "expected the image as numbers"),
        (np.zeros((4, 4)), np.zeros((2, 2)), {"opacity": 2}, "an opacity from 0 to 1, got 2"),
        (np.zeros((4, 4)), np.zeros((2, 2)), {"colours": "mud"}, "no colour map 'mud'"),
    ],
)
def test_what_is_no_picture_is_refused(image, saliency, options, message):
    with pytest.raises(ConfigError, match=message):
        camzoo.overlay(image, saliency, **options)
