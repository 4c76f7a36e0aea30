"""Tokens that do not lie in the image as one reads are put in order, or refused."""

import pytest
import torch
from torch import nn

from camzoo.cams.compute import compute_cams
from camzoo.cams.view.viewer import Viewer
from camzoo.core.errors import ConfigError
from tests.cams.networks import SMALL_VIT, lively, pictures

SMALL_HIERA = {"embed_dim": 16, "num_heads": 1, "stages": (1, 1, 2, 1), "img_size": (64, 96)}


def reaction(view, other):
    """Where the features of two views differ most, (row, column)."""
    moved = (view.features - other.features)[0].norm(dim=0)
    return divmod(int(moved.argmax()), moved.shape[1])


@pytest.mark.parametrize("layer", ["blocks.0", "blocks.1.norm1", "blocks.2", "blocks.3.mlp", None])
def test_hiera_is_put_in_order(layer):
    """A patch of the image is changed, and the features change most where it lies."""
    model, images = lively("hiera_tiny_224", **SMALL_HIERA), pictures(1)
    viewer = Viewer(model, layer)
    view = viewer(images)
    rows, columns = view.features.shape[2:]
    for row, column in ((0, 0), (0, columns - 1), (rows - 1, 0), (rows // 2, columns // 3)):
        changed = images.clone()
        high, wide = 64 // rows, 96 // columns
        changed[..., row * high : (row + 1) * high, column * wide : (column + 1) * wide] += 3
        y, x = reaction(viewer(changed), view)
        assert abs(y - row) <= 1  # patches overlap
        assert abs(x - column) <= 1


@pytest.mark.parametrize("layer", ["blocks.0", "blocks.2"])
def test_what_is_put_in_order_goes_back_in_the_networks_own(layer):
    view = Viewer(lively("hiera_tiny_224", **SMALL_HIERA), layer)(pictures())
    assert view.layout.order is not None
    torch.testing.assert_close(view.head(view.features), view.logits, rtol=1e-4, atol=1e-5)
    features = view.features.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(view.head(features)[:, 1].sum(), features)
    torch.testing.assert_close(view.gradients()[:, 1], gradient, rtol=1e-4, atol=1e-7)


class Shuffled(nn.Module):
    """Keeps its tokens in an order that nothing tells."""

    def __init__(self, order):
        super().__init__()
        self.register_buffer("order", order)
        self.patches = nn.Conv2d(3, 8, 16, 16)
        self.block = nn.Linear(8, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, images):
        tokens = self.patches(images).flatten(2).transpose(1, 2)[:, self.order]
        return self.fc(self.block(tokens).mean(1))


def test_an_unknown_order_is_refused_and_the_usual_one_is_not():
    mixed = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    with pytest.raises(
        ConfigError, match="block of Shuffled: the tokens do not lie in the image row"
    ):
        compute_cams(Shuffled(mixed).eval(), pictures(), "cam", "block")
    by_columns = torch.arange(24).view(4, 6).T.flatten()
    with pytest.raises(ConfigError, match="do not lie in the image row by row"):
        compute_cams(Shuffled(by_columns).eval(), pictures(), "cam", "block")
    assert compute_cams(Shuffled(torch.arange(24)).eval(), pictures(), "cam", "block")


@pytest.mark.parametrize(
    ("name", "options", "layer"),
    [
        ("vit_tiny_patch16_224", {**SMALL_VIT, "img_size": (64, 96)}, "blocks.0"),
        ("vit_tiny_patch16_224", {**SMALL_VIT, "img_size": (64, 96)}, "blocks.1.attn"),
        ("mixer_s32_224", {}, "blocks.1"),
        ("xcit_nano_12_p16_224", {"depth": 2, "embed_dim": 32, "num_heads": 2}, "blocks.1"),
    ],
)
def test_transformers_that_keep_the_order_are_left_alone(name, options, layer):
    size = (224, 224) if "mixer" in name else (64, 96)
    view = Viewer(lively(name, **options), layer)(pictures(2, *size))
    assert view.layout.kind == "tokens"
    assert view.layout.order is None
