import pytest
import torch
from torch import nn

from camzoo.cams.view.cut import HeadCut
from camzoo.cams.view.linear import find_readout, normed_weights
from camzoo.cams.view.network_pass import NetworkPass
from camzoo.cams.view.targets import UNKNOWN, default_layer
from camzoo.cams.view.viewer import Viewer
from camzoo.network.heads import classifier_of
from camzoo.network.layout import Layout
from tests.cams.networks import GivenFeatures, lively, pictures


def readout(model, images, layout):
    cut = HeadCut(model)
    return find_readout(NetworkPass(cut, cut.forward(images, graph=False), [layout]))


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda mean, features: mean, True),
        (lambda mean, features: mean.relu(), False),
        (lambda mean, features: nn.functional.layer_norm(mean, (3,)), False),
        (lambda mean, features: nn.functional.normalize(mean, dim=1), False),
        (lambda mean, features: features.amax((2, 3)), False),
        (lambda mean, features: features[:, :, :1].mean((2, 3)), False),
    ],
)
def test_heads_are_told_apart_by_what_they_do(spoil, expected):
    class Spoilt(GivenFeatures):
        def forward_head(self, features):
            return self.fc(spoil(features.mean((2, 3)), features))

    model = Spoilt(torch.randn(2, 3), torch.randn(2))
    images = pictures(2, 4, 6)
    found = readout(model, images, Layout("nchw", (4, 6), 3))
    assert (found is not None) is expected
    if expected:
        assert torch.equal(found.weights(), model.fc.weight)


def test_a_classifier_of_zeros_tells_nothing():
    """It would agree with any closed form, and go on to be trained."""
    images = pictures(2, 4, 6)
    zeros = GivenFeatures(torch.zeros(2, 3), torch.randn(2))
    assert not readout(zeros, images, Layout("nchw", (4, 6), 3))


def test_probing_leaves_the_global_generator_alone():
    model, images = GivenFeatures(torch.randn(2, 3)), pictures(2, 4, 6)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    readout(model, images, Layout("nchw", (4, 6), 3))
    assert torch.rand(1) == expected


def normed(model, images):
    view = Viewer(model)(images)
    assert not view.closed_form
    return view.class_weights


def test_a_norm_between_pooling_and_classifier_is_left_out():
    model = lively("convnext_atto")
    assert torch.equal(normed(model, pictures()), model.get_classifier().weight)
    cut = HeadCut(GivenFeatures(torch.randn(2, 2)))
    trace = cut.forward(pictures(2, 4, 6, channels=2), graph=False)
    seen = NetworkPass(cut, trace, [Layout("nchw", (4, 6), 2)])
    assert normed_weights(seen) is None  # too few to be normed


def test_a_hidden_layer_as_wide_as_the_features_is_no_norm():
    """Its classifier has a weight for each channel, but not for those of the features."""

    class Hidden(GivenFeatures):
        def __init__(self):
            super().__init__(torch.randn(2, 5), torch.randn(2))
            self.hidden = nn.Linear(5, 5)

        def forward_head(self, features):
            return self.fc(
                self.hidden(nn.functional.layer_norm(features.mean((2, 3)), (5,))).tanh()
            )

    assert normed(Hidden(), pictures(2, 4, 6, channels=5)) is None


def test_classifiers():
    assert isinstance(classifier_of(lively("test_resnet")), nn.Linear)
    convolution = lively("dpn48b")
    assert isinstance(classifier_of(convolution), nn.Conv2d)
    view = Viewer(convolution)(pictures())
    assert view.closed_form
    assert torch.equal(view.class_weights, convolution.get_classifier().weight.flatten(1))
    headless = lively("test_resnet")
    headless.reset_classifier(0)
    assert classifier_of(headless) is None


def test_default_layers():
    assert default_layer(lively("test_resnet")) is None
    assert default_layer(lively("test_vit")) == "blocks.5.norm1"
    assert default_layer(lively("test_vit", global_pool="avg")) is None
    assert default_layer(lively("pit_ti_224")) == UNKNOWN


def test_where_the_default_layer_is_not_known_it_is_looked_for():
    model = lively("pit_ti_224")
    view = Viewer(model)(pictures(1, 224, 224))
    assert view.layer == "transformers.2.blocks.3.norm1"
    assert view.gradients().abs().amax((0, 2, 3, 4)).min() > 0
