import pytest
import torch
from torch import nn

from camzoo.cams.cut import HeadCut
from camzoo.cams.layout import Layout
from camzoo.cams.linear import class_weights, classifier_of, default_layer, is_pooled_linear
from camzoo.errors import ConfigError
from tests.cams.networks import GivenFeatures, lively, pictures


def pooled_linear(model, images, layout):
    cut = HeadCut(model)
    return is_pooled_linear(cut, cut.forward(images, graph=False), layout)


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
    assert pooled_linear(model, images, Layout("nchw", (4, 6), 3)) is expected


def test_a_classifier_of_zeros_tells_nothing():
    """It would agree with any closed form, and go on to be trained."""
    images = pictures(2, 4, 6)
    zeros = GivenFeatures(torch.zeros(2, 3), torch.randn(2))
    assert not pooled_linear(zeros, images, Layout("nchw", (4, 6), 3))


def test_probing_leaves_the_global_generator_alone():
    model, images = GivenFeatures(torch.randn(2, 3)), pictures(2, 4, 6)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    pooled_linear(model, images, Layout("nchw", (4, 6), 3))
    assert torch.rand(1) == expected


def test_classifiers():
    assert class_weights(lively("test_resnet"), 96).shape == (4, 96)
    assert class_weights(lively("test_resnet"), 95) is None
    convolution = lively("dpn48b")
    assert isinstance(classifier_of(convolution), nn.Conv2d)
    features = convolution.num_features
    assert class_weights(convolution, features).shape == (4, features)
    headless = lively("test_resnet")
    headless.reset_classifier(0)
    assert classifier_of(headless) is None


def test_default_layers():
    assert default_layer(lively("test_resnet")) is None
    assert default_layer(lively("test_vit")) == "blocks.5.norm1"
    assert default_layer(lively("test_vit", global_pool="avg")) is None
    strange = nn.Module()
    strange.global_pool = "token"
    with pytest.raises(ConfigError, match="classifies by its class token"):
        default_layer(strange)
