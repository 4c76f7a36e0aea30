"""Any classifier of images: maps against values worked out by hand, and against peers."""

import re
import warnings

import pytest
import torch
import torchvision.models as tv
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from camzoo.cams.compute import compute_cams
from camzoo.cams.view.viewer import Viewer
from camzoo.core.errors import ConfigError
from tests.cams.foreign import (
    POOLED_LINEAR,
    Bare,
    Checkpointed,
    Folded,
    Model,
    Output,
    Textbook,
    features_at,
    foreign,
    small_vit,
)
from tests.cams.networks import lively, pictures, unit


def by_hand(model, layer, weights, images):
    """sum_k w_ck A_k."""
    features = features_at(model, layer, images)
    if features.shape[1] != weights.shape[1]:
        features = features.permute(0, 3, 1, 2)
    return torch.einsum("ck,bkhw->bchw", weights.detach().flatten(1), features)


def close(found, expected):
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", POOLED_LINEAR)
def test_plain_cam_is_the_weighted_sum(name):
    build, channels, layer, head = POOLED_LINEAR[name]
    model, images = foreign(build), pictures(2, 64, 96, channels)
    view = Viewer(model, layer)(images)
    assert view.closed_form
    maps = compute_cams(model, images, ["cam", "grad-cam"], layer)
    expected = by_hand(model, view.layer, model.get_submodule(head).weight, images)
    close(maps["cam"], expected)
    close(maps["grad-cam"], expected)  # the same, where pooling and a linear layer follow


def test_weights_that_stand_in_no_parameter_are_measured():
    images = pictures()
    folded = foreign(Folded)
    close(
        compute_cams(folded, images, "cam", "features")["cam"],
        by_hand(folded, "features", folded.weights, images),
    )
    bare = foreign(Bare)
    places = 16 * 24
    close(
        compute_cams(bare, images, "cam", "features")["cam"],
        by_hand(bare, "features", bare.table.T * places, images),
    )


class Gated(Textbook):
    """Linear in the features, with weights that another path makes for each image."""

    def forward(self, images):
        gate = images.mean((2, 3)).sum(1, keepdim=True).exp()
        return self.fc(self.features(images).mean((2, 3)) * gate)


@pytest.mark.parametrize("count", [1, 2])
def test_weights_that_differ_from_image_to_image_are_none(count):
    view = Viewer(foreign(Gated), "features")(pictures(count))
    if count > 1:
        assert not view.closed_form
    expected = view.head(view.features)
    torch.testing.assert_close(view.logits, expected)


#: Networks whose heads are more than that; every method but plain CAM has maps of them.
DEEP_HEADS = {
    "torchvision DenseNet": (
        # Behind all of its features it works in place, which changes what the peer has kept.
        lambda: tv.DenseNet(8, (2, 2), 16, num_classes=3), "features.denseblock2",
    ),
    "torchvision SqueezeNet": (lambda: tv.squeezenet1_1(num_classes=3), "features"),
    "torchvision MobileNetV3": (lambda: tv.mobilenet_v3_small(num_classes=3), "features"),
    "torchvision ResNet, in the middle": (lambda: tv.resnet18(num_classes=3), "layer3.0.conv1"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEEP_HEADS)
def test_grad_cam_is_that_of_pytorch_grad_cam(name):
    build, layer = DEEP_HEADS[name]
    model, images = foreign(build), pictures()
    with pytest.warns(UserWarning, match="no maps of cam: cam needs features that are averaged"):
        maps = compute_cams(model, images, ["grad-cam", "cam"], layer)
    assert list(maps) == ["grad-cam"]  # what can be had is not lost
    ours = maps["grad-cam"]
    for c in range(3):
        with GradCAM(model, [model.get_submodule(layer)]) as peer:
            raw = []
            original = peer.get_cam_image
            peer.get_cam_image = lambda *a, f=original, r=raw, **k: r.append(f(*a, **k)) or r[-1]
            peer(images.clone(), [ClassifierOutputTarget(c)] * 2)
        gap = unit(ours[:, [c]]) - unit(torch.from_numpy(raw[0])[:, None])
        assert gap.abs().max() < 1e-4


def test_a_transformer_of_torchvision_is_looked_into_where_its_patches_last_count():
    model, images = foreign(small_vit), pictures(2, 64, 64)
    view = Viewer(model)(images)
    assert view.layer == "encoder.layers.encoder_layer_1.ln_1"
    assert view.features.shape == (2, 32, 4, 4)
    kept = []
    handle = model.get_submodule(view.layer).register_forward_hook(
        lambda _m, _i, output: kept.append(output) or output.clone()
    )
    logits = model(images)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), kept[0])
    expected = gradient[:, 1:].transpose(1, 2).reshape(2, 32, 4, 4)
    torch.testing.assert_close(view.gradients()[:, 1], expected, rtol=1e-4, atol=1e-7)


# Compiled, copied, checkpointed, traced.


def compiled_after_a_pass(model):
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        compiled(pictures())
    return compiled


def compiled_inside(model):
    model.layer3 = torch.compile(model.layer3, backend="eager")
    model.layer4.compile(backend="eager")
    with torch.no_grad():
        model(pictures())
    return model


def compiled_in_place(model):
    model.compile(backend="eager")
    with torch.no_grad():
        model(pictures())
    return model


WRAPPINGS = {
    "compiled": compiled_after_a_pass,
    "parts compiled": compiled_inside,
    "compiled in place": compiled_in_place,
    "copies for devices": nn.DataParallel,
    "compiled copies": lambda model: compiled_after_a_pass(nn.DataParallel(model)),
    "averaged": torch.optim.swa_utils.AveragedModel,
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
@pytest.mark.parametrize("layer", [None, "layer3", "layer4.0.conv2"])
def test_wrapped_networks_have_the_maps_of_what_is_inside(wrap, layer):
    methods = ["grad-cam", "ablation-cam", "gradcam:GradCAM"]
    plain = lively("test_resnet")
    right = compute_cams(plain, pictures(), methods, layer)
    wrapped = wrap(lively("test_resnet"))
    for _ in range(2):
        maps = compute_cams(wrapped, pictures(), methods, layer)
        for name in methods:
            assert torch.equal(maps[name], right[name]), name


def test_layers_of_wrapped_networks_go_by_either_name_or_as_modules():
    plain = lively("test_resnet")
    right = compute_cams(plain, pictures(), "layer-cam", "layer3")["layer-cam"]
    for wrapped, prefix in (
        (torch.compile(plain, backend="eager"), "_orig_mod."),
        (nn.DataParallel(plain), "module."),
    ):
        for layer in ("layer3", f"{prefix}layer3", plain.layer3):
            maps = compute_cams(wrapped, pictures(), "layer-cam", layer)
            assert torch.equal(maps["layer-cam"], right)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("layer", ["features", "middle", "middle.0", "late.0"])
def test_checkpointed_networks_have_the_maps_of_the_same_without(reentrant, layer):
    methods = ["grad-cam", "ablation-cam", "shapley-cam", "opti-cam:steps=5", "fullgrad"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Checkpointed(reentrant).train()  # whose dropout must be off, also going back
    model.again = False
    right = compute_cams(model, pictures(), methods, layer)
    model.again = True
    maps = compute_cams(model, pictures(), methods, layer)
    assert len(maps) == len(methods)
    for name in right:
        torch.testing.assert_close(maps[name], right[name], rtol=1e-6, atol=1e-8)
    model.eval()
    images = pictures().requires_grad_()
    model(images).sum().backward()  # its checkpoints are there again
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize("make", [torch.jit.trace, lambda model, _: torch.jit.script(model)])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_traced_and_scripted_networks_are_refused(make):
    model = make(foreign(Textbook), pictures())
    for layer in (None, "features"):
        with pytest.raises(ConfigError, match="traced or scripted and hides what its layers give"):
            compute_cams(model, pictures(), "grad-cam", layer)


# Outputs that are no logits [B, C].


class After(nn.Module):
    """A network with something done to its logits."""

    def __init__(self, after):
        super().__init__()
        self.net, self.after = foreign(Textbook), after

    def forward(self, images):
        return self.after(self.net(images))


FOUND = {
    "tuple": lambda y: (y, y.mean()),
    "list": lambda y: [y],
    "loss first": lambda y: (y.sum(), y),
    "dictionary": lambda y: {"logits": y, "features": y[:, :2]},
    "dictionary of one": lambda y: {"out": y},
    "data class": lambda y: Output(None, y, (y,)),
    "as attributes": lambda y: Model(loss=None, logits=y),
    "with places": lambda y: y[:, :, None, None],
}


@pytest.mark.parametrize("after", FOUND.values(), ids=FOUND)
@pytest.mark.parametrize("layer", ["net.features", None])
def test_logits_are_found_in_what_a_network_gives(after, layer):
    methods = ["cam", "grad-cam", "ablation-cam", "fullgrad", "gradcam:LayerCAM", "score-cam"]
    right = compute_cams(foreign(Textbook), pictures(), methods, "features")
    maps = compute_cams(After(after).eval(), pictures(), methods, layer)
    for name in methods:
        assert torch.equal(maps[name], right[name]), name


def test_one_logit_per_image_is_one_class():
    maps = compute_cams(After(lambda y: y[:, 1]), pictures(), ["cam", "grad-cam"], "net.features")
    right = compute_cams(foreign(Textbook), pictures(), "cam", "features", classes=1)["cam"]
    close(maps["cam"], right)
    close(maps["grad-cam"], right)


REFUSED = {
    "map per class": (lambda y: y[:, :, None, None].expand(-1, -1, 8, 8), "got [1, 3, 8, 8]"),
    "one number": (lambda y: y.sum(), "got [] of float32"),
    "classes first": (lambda y: y.T, "got [3, 1] of float32"),
    "no classes": (lambda y: y[:, :0], "got [1, 0] of float32"),
    "labels": (lambda y: y.argmax(1), "got [1] of int64"),
    "two tables": (lambda y: (y, y), "got tuple ([1, 3] of float32, [1, 3] of float32)"),
    "two in a dictionary": (lambda y: {"a": y, "b": y}, "got dict (a: [1, 3] of float32, b"),
    "nothing": (lambda y: None, "got NoneType"),
    "text": (lambda y: "cat", "got str"),
    "NumPy": (lambda y: y.detach().numpy(), "got ndarray"),
    "an empty tuple": (lambda y: (), "got tuple"),
    "logits of a map": (lambda y: {"logits": y[..., None]}, "got dict (logits: [1, 3, 1]"),
}


@pytest.mark.parametrize(("after", "got"), REFUSED.values(), ids=REFUSED)
def test_other_outputs_are_refused_in_one_line(after, got):
    with pytest.raises(ConfigError, match=re.escape(got)) as caught:
        compute_cams(After(after), pictures(), "grad-cam", "net.features")
    assert "expected logits [B, C] of After" in str(caught.value)
    assert "wrap the model" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


class Ungraded(Textbook):
    """Is run without gradients, whatever its surroundings."""

    @torch.no_grad()
    def forward(self, images):
        return super().forward(images)


class Detached(Textbook):
    """Hides from gradients what it reads."""

    def forward(self, images):
        return self.fc(self.features(images).detach().mean((2, 3)))


@pytest.mark.parametrize("build", [Ungraded, Detached])
def test_where_no_gradient_comes_through_that_is_said_and_no_other_cause(build):
    with pytest.raises(ConfigError, match="no gradient comes from the logits of") as caught:
        compute_cams(foreign(build), pictures(), "grad-cam", "features")
    assert "do not depend" not in str(caught.value)


# Layers.


def test_layers_as_modules():
    model = lively("test_resnet")
    by_name = compute_cams(model, pictures(), "layer-cam", ["layer2", "layer4.0"])
    as_modules = compute_cams(model, pictures(), "layer-cam", [model.layer2, model.layer4[0]])
    mixed = compute_cams(model, pictures(), "layer-cam", (model.layer2, "layer4.0"))
    assert torch.equal(by_name["layer-cam"], as_modules["layer-cam"])
    assert torch.equal(by_name["layer-cam"], mixed["layer-cam"])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Conv2d(3, 3, 1), "the layer given as Conv2d is no part of Textbook"),
        (lambda model: model, "the layer given as Textbook is no part of Textbook"),
        (7, "expected a layer by name or as a module, or several, got int"),
        ([None], "expected a layer by name or as a module, got NoneType"),
        ({}, "expected one or more different layers"),
        ("features.9", "Textbook has no layer 'features.9'; its outermost layers are features"),
        ("", "Textbook has no layer ''"),
        ("fc", "fc of Textbook: (2, 3) is no feature map of images (2, 3, 64, 96)"),
        (lambda model: [model.fc, "fc"], "expected one or more different layers"),
    ],
)
def test_wrong_layers_are_refused_in_one_line(layer, message):
    model = foreign(Textbook)
    layer = layer(model) if callable(layer) and not isinstance(layer, nn.Module) else layer
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        compute_cams(model, pictures(), "grad-cam", layer)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_images_that_a_network_does_not_take_are_refused_in_one_line():
    for images in (pictures(2, 60, 64), pictures(1, 8, 8), pictures(2, 64, 64, channels=4)):
        with pytest.raises(ConfigError, match="cannot be looked into on images") as caught:
            compute_cams(foreign(small_vit), images, "grad-cam", "encoder.ln")
        assert "\n" not in str(caught.value)


def test_networks_are_left_as_they_were():
    model = Textbook().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.features.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compute_cams(model, pictures(), ["cam", "grad-cam", "gradcam:AblationCAM"])
    assert [m.training for m in model.children()] == [False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())
