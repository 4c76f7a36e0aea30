"""The part behind a layer, run alone, has to be the network's own."""

import pytest
import torch
from torch import nn

from camzoo.cams.view.layer_cut import LayerCut
from camzoo.core.errors import ConfigError
from tests.cams.networks import SMALL_DENSENET, SMALL_SWIN, lively, pictures

CASES = [
    ("test_resnet", "layer2", {}),
    ("test_resnet", "layer4.0.conv2", {}),  # inside a residual branch
    ("test_efficientnet", "blocks.1.0.conv_exp", {}),
    (
        "densenet121",
        "features.denseblock3.denselayer2",
        SMALL_DENSENET,
    ),  # gives what is concatenated
    ("test_convnext", "stages.1", {}),
    ("test_vit", "blocks.3.norm1", {"img_size": (64, 96)}),
    ("test_vit", "blocks.3.attn", {"img_size": (64, 96)}),
    ("swin_tiny_patch4_window7_224", "layers.3.blocks.1.mlp", SMALL_SWIN),
    ("test_mambaout", "stages.1", {}),
]


@pytest.mark.parametrize(("name", "layer", "options"), CASES)
def test_behind_gives_the_logits_of_the_whole(name, layer, options):
    model, images = lively(name, **options), pictures(3)
    cut = LayerCut(model, [layer])
    trace = cut.forward(images, graph=False)
    with torch.no_grad():
        expected = model(images)
    torch.testing.assert_close(trace.logits, expected)
    order = torch.tensor([2, 0, 0, 1])  # other numbers and another order than in the batch
    behind = cut.behind(0, trace.outputs[0][order], trace, order)
    torch.testing.assert_close(behind, expected[order], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "layer", "options"), CASES)
def test_behind_answers_to_other_features_as_the_network_does(name, layer, options):
    """The oracle changes the layer's output by a hook and runs the whole network."""
    model, images = lively(name, **options), pictures(2)
    cut = LayerCut(model, [layer])
    trace = cut.forward(images, graph=False)
    changed = trace.outputs[0] + torch.randn_like(trace.outputs[0])
    handle = model.get_submodule(layer).register_forward_hook(lambda *_: changed)
    with torch.no_grad():
        expected = model(images)
    handle.remove()
    behind = cut.behind(0, changed, trace, torch.arange(2))
    torch.testing.assert_close(behind, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(behind, trace.logits, rtol=1e-3)


@pytest.mark.parametrize(("name", "layer", "options"), CASES)
def test_gradients_are_those_of_the_whole_network(name, layer, options):
    model, images = lively(name, **options), pictures(2)
    trace = LayerCut(model, [layer]).forward(images, graph=True)
    (gradient,) = torch.autograd.grad(trace.logits[:, 1].sum(), trace.outputs[0])
    kept = []

    def keep(_module, _inputs, output):
        kept.append(output)
        return output.clone()

    handle = model.get_submodule(layer).register_forward_hook(keep)
    logits = model(images)
    handle.remove()
    (expected,) = torch.autograd.grad(logits[:, 1].sum(), kept[0])
    assert expected.abs().max() > 0
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


def test_the_front_is_not_run_again():
    model, images = lively("test_resnet"), pictures(2)
    cut = LayerCut(model, ["layer3"])
    trace = cut.forward(images, graph=False)
    run = []
    handles = [
        m.register_forward_hook(lambda m, *_: run.append(m))
        for m in model.modules()
        if isinstance(m, nn.Conv2d)
    ]
    cut.behind(0, trace.outputs[0], trace, torch.arange(2))
    for handle in handles:
        handle.remove()
    behind = {m for m in model.layer4.modules() if isinstance(m, nn.Conv2d)}
    assert set(run) == behind


def test_of_the_front_only_what_matters_is_kept():
    model, images = lively("test_resnet"), pictures(2)
    plain = LayerCut(model, ["layer3"]).forward(images, graph=False)
    assert all(given.is_meta for calls in plain.calls.values() for given in calls)
    inside = LayerCut(model, ["layer4.0.conv2"]).forward(images, graph=False)
    kept = {m for m, calls in inside.calls.items() if not calls[0].is_meta}
    assert kept == {model.layer3}  # which the shortcut around the layer starts from


def test_several_layers_share_one_pass_and_one_graph():
    model, images = lively("test_resnet"), pictures(2)
    together = LayerCut(model, ["layer2", "layer4"]).forward(images, graph=True)
    pair = torch.autograd.grad(together.logits[:, 0].sum(), together.outputs)
    for name, gradient in zip(["layer2", "layer4"], pair, strict=True):
        alone = LayerCut(model, [name]).forward(images, graph=True)
        (expected,) = torch.autograd.grad(alone.logits[:, 0].sum(), alone.outputs)
        torch.testing.assert_close(gradient, expected)


class TwoPaths(nn.Module):
    """The image itself, and a table without a row per image, reach the logits past the layer."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(3, 3)  # gives [3, 3], whatever the batch
        self.layer = nn.Conv2d(3, 3, 1)
        self.act = nn.ReLU()  # runs in front of the layer and behind it

    def forward(self, images):
        table = self.table(torch.arange(3))
        features = self.layer(self.act(images) * 2)
        return self.act(features).mean((2, 3)) @ table + images.mean((2, 3))


def test_images_tables_and_modules_that_run_twice():
    model, images = TwoPaths().eval(), pictures(3)  # as many images as rows of the table
    cut = LayerCut(model, ["layer"])
    trace = cut.forward(images, graph=False)
    order = torch.tensor([1, 1, 2, 0])
    behind = cut.behind(0, trace.outputs[0][order], trace, order)
    torch.testing.assert_close(behind, trace.logits[order])


class Detached(nn.Module):
    """What reaches the logits past the layer is hidden from autograd."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, images):
        first = self.first(images)
        return (self.second(first) + first.detach()).mean((2, 3))


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.unused = nn.Conv2d(3, 3, 1)
        self.pair = nn.Identity()

    def forward(self, images):
        self.pair((images, images))
        return self.conv(self.conv(images)).mean((2, 3))


class Aside(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.aside = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, images):
        self.aside(images)
        return self.conv(images).mean((2, 3))


@pytest.mark.parametrize(
    ("model", "layer", "message"),
    [
        (Detached(), "second", "cannot be run alone"),
        (Aside(), "aside", "do not depend on layer 'aside'"),
        (Aside().requires_grad_(False), "aside", "do not depend on layer 'aside'"),
        (Shared(), "conv", "run more than once"),
        (Shared(), "unused", "is not run"),
        (Shared(), "pair", "gives tuple"),
        (Shared(), "conf", "outermost layers are conv, unused, pair"),
    ],
)
def test_what_cannot_be_cut_is_refused(model, layer, message):
    with pytest.raises(ConfigError, match=message):
        LayerCut(model.eval(), [layer]).forward(pictures(2), graph=False)
    assert not any(module._forward_hooks for module in model.modules())
    assert not any("forward" in vars(module) for module in model.modules())
