import pytest
import torch

from camzoo.cams.view.layers import create_outline, list_layers
from camzoo.cams.view.viewer import Viewer
from camzoo.core.errors import ConfigError
from tests.cams.networks import lively


def listed(name, depth=2, size=None):
    model, own = create_outline(name)
    return {layer.name: layer for layer in list_layers(model, size or own, depth)}


def test_a_convnet():
    layers = listed("resnet18", size=(3, 224, 160))
    assert list(layers)[:3] == ["conv1", "bn1", "act1"]
    assert layers["layer3"].channels == 256
    assert layers["layer3"].grid == (14, 10)
    assert layers["layer3"].stride == (16, 16)
    assert layers["layer3"].kind == "Sequential"
    assert "layer3.0" in layers
    assert "layer3.0.conv1" not in layers
    assert "layer3.0.conv1" in listed("resnet18", depth=3)
    assert [name for name, layer in layers.items() if layer.default] == [""]
    assert layers[""].channels == 512
    assert "fc" not in layers


def test_channels_last_and_tokens():
    swin = listed("swin_tiny_patch4_window7_224")
    assert (swin["layers.1"].channels, swin["layers.1"].grid) == (192, (28, 28))
    vit = listed("vit_small_patch16_384")
    assert (vit["blocks.3"].channels, vit["blocks.3"].grid, vit["blocks.3"].stride) == (
        384, (24, 24), (16, 16),
    )  # fmt: skip
    deep = listed("vit_small_patch16_384", depth=3)
    assert [name for name, layer in deep.items() if layer.default] == ["blocks.11.norm1"]


def test_a_layer_that_is_listed_can_be_looked_at():
    model, images = lively("test_resnet"), torch.randn(1, 3, 64, 96)
    for layer in list_layers(model, (3, 64, 96)):
        view = Viewer(model, layer.name or None)(images)
        assert view.features.shape == (1, layer.channels, *layer.grid)


def test_unknown_models():
    with pytest.raises(ConfigError, match="unknown backbone 'resnet19' of timm; did you mean"):
        create_outline("resnet19")
