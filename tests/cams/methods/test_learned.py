"""LPCAM, which learns from tagged slices."""

import numpy as np
import pytest
import torch

from camzoo.cams.base import FitContext
from camzoo.cams.methods.lpcam import Lpcam, k_means
from camzoo.cams.training_views import training_views
from camzoo.cams.view.viewer import Viewer
from camzoo.core.errors import ConfigError
from camzoo.data.slices import TaggedSlices
from camzoo.network.backbone import Classifier
from tests.cams.networks import GivenFeatures

SIZE = 32


class BrightAndDark(GivenFeatures):
    """Two features per place: how bright it is, and how dark."""

    def forward_features(self, images):
        return torch.cat((images[:, :1], 1 - images[:, :1]), dim=1)


def slices(*squares, tags):
    """Black slices with white squares, given as lists of (y, x) corners of 8 x 8 pixels."""
    store = np.zeros((len(squares), SIZE, SIZE), np.uint8)
    for image, corners in zip(store, squares, strict=True):
        for y, x in corners:
            image[y : y + 8, x : x + 8] = 255
    tags = np.array(tags, np.uint8)
    organs = tuple(f"organ{c}" for c in range(tags.shape[1]))
    return TaggedSlices(store, np.arange(len(store)), tags, organs, False, (("a", 0, len(store)),))


def context(model, tagged, **options):
    classifier = Classifier(model, (0.0,) * 3, (1.0,) * 3, frozen_norm=True)
    generator = torch.Generator().manual_seed(0)
    return FitContext(classifier, tagged, generator, torch.device("cpu"), **options)


def square(y, x):
    mask = torch.zeros(SIZE, SIZE)
    mask[y : y + 8, x : x + 8] = 1
    return mask


THREE = slices([(0, 0)], [(0, 0), (16, 8)], [(16, 8)], [(24, 24)], tags=[[1], [1], [1], [0]])


def test_training_views_show_only_slices_with_an_organ_as_the_classifier_sees_them():
    views = list(training_views(context(BrightAndDark([[1.0, 0.0]]), THREE)))
    ((view, tags),) = views
    assert view.images.shape == (3, 3, SIZE, SIZE)
    assert torch.equal(view.images[0, 1], square(0, 0))
    assert tags.tolist() == [[True]] * 3


def test_training_views_have_the_size_and_layer_of_the_maps():
    model = BrightAndDark([[1.0, 0.0]])
    ((view, _),) = training_views(context(model, THREE, side=64))
    assert view.images.shape == (3, 3, 64, 64)


@pytest.mark.parametrize(
    ("weight", "background"),
    [
        ([[10.0, -10.0]], 0.0),  # black is surely not the class: no context, nothing is subtracted
        ([[5.0, 0.0]], -1.0),  # black could be the class: it is context
    ],
)
def test_lpcam_by_hand(weight, background):
    """Prototypes are white (1, 0) inside and black (0, 1) outside."""
    model, method = BrightAndDark(weight), Lpcam(clusters=3)
    image = square(8, 16).expand(1, 3, -1, -1)
    with pytest.raises(ConfigError, match="lpcam has to be fitted"):
        method.saliency(Viewer(model)(image))
    method.fit(context(model, THREE))
    expected = torch.where(square(8, 16) > 0, 1.0, background)
    torch.testing.assert_close(method(Viewer(model)(image))[0, 0], expected)


def test_lpcam_keeps_the_best_prototype_if_none_is_sure():
    model, method = BrightAndDark([[0.1, 0.0]]), Lpcam(clusters=2)
    method.fit(context(model, THREE))
    image = square(8, 16).expand(1, 3, -1, -1)
    maps = method(Viewer(model)(image))[0, 0]
    assert maps[10, 20] > 0 > maps[0, 0]


def test_lpcam_without_slices():
    with pytest.raises(ConfigError, match="there are none"):
        Lpcam().fit(context(BrightAndDark([[1.0, 0.0]]), slices([], tags=[[0]])))


def test_k_means_groups_by_direction_and_averages_lengths():
    points = torch.tensor([[1.0, 0.1], [3.0, 0.1], [0.1, 2.0], [0.1, 4.0]])
    centres = k_means(points, 2, seed=0)
    centres = centres[centres[:, 0].argsort(descending=True)]
    torch.testing.assert_close(centres, torch.tensor([[2.0, 0.1], [0.1, 3.0]]))


def test_k_means_of_few_points():
    points = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert sorted(k_means(points, 5, seed=0).tolist()) == [[0, 2], [1, 0]]
    assert k_means(points[:0], 5, seed=0).shape == (0, 2)
