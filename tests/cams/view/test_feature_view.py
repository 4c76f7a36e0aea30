import gc
import weakref

import pytest
import torch
from torch import nn

from camzoo.cams.view.viewer import Viewer
from camzoo.core.errors import ConfigError
from tests.cams.networks import (
    SMALL_DENSENET,
    SMALL_SWIN,
    SMALL_VIT,
    GivenFeatures,
    SquaredFeatures,
    lively,
    pictures,
)

#: name, options, layer, closed form, what the features have to be.
NETWORKS = [
    ("resnet18", {}, None, True, (512, 2, 3)),
    ("resnet18", {}, "layer4", True, (512, 2, 3)),
    ("test_resnet", {}, "layer3", False, (192, 4, 6)),
    ("densenet121", SMALL_DENSENET, None, True, (36, 2, 3)),
    ("mobilenetv2_100", {}, None, True, (1280, 2, 3)),
    ("mobilenetv3_small_050", {}, None, False, (288, 2, 3)),  # a convolution behind the pooling
    ("convnext_atto", {}, None, False, (320, 2, 3)),  # a norm behind the pooling
    ("swin_tiny_patch4_window7_224", SMALL_SWIN, None, True, (192, 2, 3)),
    ("test_mambaout", {}, None, False, (64, 2, 3)),
    ("test_vit", {"img_size": (64, 96)}, None, False, (64, 4, 6)),
    ("vit_tiny_patch16_224", {**SMALL_VIT, "dynamic_img_size": True}, None, False, (48, 4, 6)),
    (
        "vit_tiny_patch16_224",
        {**SMALL_VIT, "img_size": (64, 96), "global_pool": "avg"},
        None,
        False,
        (48, 4, 6),
    ),
    (
        "xcit_nano_12_p16_224",
        {"depth": 2, "embed_dim": 32, "num_heads": 2},
        None,
        False,
        (32, 4, 6),
    ),
]


def view_of(name, options, layer=None, images=None):
    model = lively(name, **options)
    images = pictures() if images is None else images
    return Viewer(model, layer)(images), model, images


@pytest.mark.parametrize(("name", "options", "layer", "closed_form", "shape"), NETWORKS)
def test_a_view_is_what_the_network_computes(name, options, layer, closed_form, shape):
    view, model, images = view_of(name, options, layer)
    assert view.features.shape == (2, *shape)
    assert view.closed_form is closed_form
    with torch.no_grad():
        expected = model(images)
    torch.testing.assert_close(view.logits, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(view.head(view.features), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(view.classify(images), expected, rtol=1e-4, atol=1e-4)
    assert not view.logits.requires_grad
    assert not view.features.requires_grad


@pytest.mark.parametrize(("name", "options", "layer", "closed_form", "shape"), NETWORKS)
def test_gradients_and_ablations_are_those_of_the_head(name, options, layer, closed_form, shape):
    view, _, _ = view_of(name, options, layer)
    features = view.features.clone().requires_grad_()
    logits = view.head(features)
    for c in range(4):
        (expected,) = torch.autograd.grad(logits[:, c].sum(), features, retain_graph=True)
        scale = float(expected.abs().max())
        assert scale > 0
        gap = (view.gradients()[:, c] - expected).abs().max()
        assert gap < 1e-4 * scale
    for k in (0, shape[0] // 2, shape[0] - 1):
        without = view.features.clone()
        without[:, k] = 0
        ablated = view.ablated_logits()[:, k]
        torch.testing.assert_close(ablated, view.head(without), rtol=1e-4, atol=1e-4)


def test_numbers_by_hand_with_a_linear_head():
    """Two channels on a 1 x 2 grid: y = 3 mean(A_0) - 2 mean(A_1) + 10."""
    images = torch.tensor([[[[1.0, 5.0]], [[2.0, 4.0]]]])
    view = Viewer(GivenFeatures([[3.0, -2.0]], [10.0]))(images)
    assert view.closed_form
    assert view.logits.tolist() == [[13.0]]
    assert view.gradients().tolist() == [[[[[1.5, 1.5]], [[-1.0, -1.0]]]]]
    assert view.ablated_logits().tolist() == [[[4.0], [19.0]]]


def test_numbers_by_hand_with_a_head_that_is_not_linear():
    """y = 3/2 sum A_0^2 - sum A_1^2: gradients 3 A_0 and -2 A_1."""
    images = torch.tensor([[[[1.0, 5.0]], [[2.0, 4.0]]]])
    view = Viewer(SquaredFeatures([[3.0, -2.0]]))(images)
    assert not view.closed_form
    assert view.logits.tolist() == [[19.0]]
    assert view.gradients().tolist() == [[[[[3.0, 15.0]], [[-4.0, -8.0]]]]]
    assert view.ablated_logits().tolist() == [[[-20.0], [39.0]]]


def test_a_channel_that_is_zero_is_ablated_for_nothing():
    images = torch.tensor([[[[0.0, 0.0]], [[2.0, 4.0]]], [[[1.0, 0.0]], [[0.0, 0.0]]]])
    view = Viewer(SquaredFeatures([[3.0, -2.0]]))(images)
    runs = []
    view.viewer.model.fc.register_forward_hook(lambda *_: runs.append(1))
    heads = view.viewer.model.forward_head
    sizes = []
    view._pass._cut._head = lambda features: sizes.append(len(features)) or heads(features)
    assert view.ablated_logits().tolist() == [[[-20.0], [0.0]], [[0.0], [1.5]]]
    assert sizes == [2]  # one channel of each image


def test_closed_form_gradients_take_no_memory():
    view = Viewer(lively("test_resnet"))(pictures())
    assert view.gradients(compact=True).shape == (1, 4, 96, 1, 1)
    assert view.gradients().shape == (2, 4, 96, 2, 3)
    assert view.gradients().untyped_storage().nbytes() == 4 * 96 * 4


def test_the_trunk_is_run_once_and_gradients_go_no_further_than_the_layer():
    model = lively("test_resnet")
    viewer = Viewer(model, "layer3")
    viewer(pictures())  # explores
    counts = dict.fromkeys(["conv1", "layer3", "layer4"], 0)

    def count(name):
        def hook(*_):
            counts[name] += 1

        return hook

    for name in counts:
        model.get_submodule(name).register_forward_hook(count(name))
    backward = []
    model.layer2.register_full_backward_hook(lambda *_: backward.append("layer2"))
    model.layer4.register_full_backward_hook(lambda *_: backward.append("layer4"))
    view = viewer(pictures())
    view.gradients()
    view.gradients(compact=True)
    assert counts == {"conv1": 1, "layer3": 1, "layer4": 1}
    assert backward == ["layer4"] * 4


def test_several_layers_at_once():
    model, images = lively("test_resnet"), pictures()
    together = Viewer(model, ["layer3", "layer4"], "mean")(images)
    assert [view.layer for view in together.layers] == ["layer3", "layer4"]
    assert together is together.layers[-1]
    for view in together.layers:
        alone = Viewer(model, view.layer)(images)
        torch.testing.assert_close(view.features, alone.features)
        torch.testing.assert_close(view.gradients(), alone.gradients())


def test_frozen_networks_and_inference_mode():
    model, images = lively("test_resnet"), pictures()
    expected = Viewer(model, "layer3")(images).gradients()
    model.requires_grad_(False)
    with torch.inference_mode():
        view = Viewer(model, "layer3")(images.clone())
        torch.testing.assert_close(view.gradients(), expected)
        view.ablated_logits()
    assert not view.features.is_inference()


def test_autocast_of_the_pass_is_kept_for_what_comes_later():
    model, images = lively("test_resnet"), pictures()
    for layer in (None, "layer3"):
        with torch.autocast("cpu", torch.bfloat16):
            view = Viewer(model, layer)(images)
        assert view.closed_form is (layer is None)
        assert view.features.dtype == view.logits.dtype == torch.float32
        torch.testing.assert_close(view.head(view.features), view.logits, rtol=0.02, atol=0.05)
        assert not torch.equal(view.classify(images), Viewer(model, layer)(images).logits)


def test_half_precision_weights():
    model = lively("test_resnet").to(torch.bfloat16)
    for layer in (None, "layer3"):
        view = Viewer(model, layer)(pictures().to(torch.bfloat16))
        assert view.closed_form is (layer is None)
        assert view.gradients().dtype == torch.float32
        torch.testing.assert_close(view.head(view.features), view.logits, rtol=0.02, atol=0.05)


def test_one_image_channel():
    view, model, images = view_of("test_resnet", {"in_chans": 1}, "layer3", pictures(channels=1))
    torch.testing.assert_close(view.logits, model(images).detach())


def test_no_graph_survives_the_gradients_and_no_memory_the_view():
    view = Viewer(lively("test_resnet"), "layer3")(pictures())
    logits = weakref.ref(view._pass.logits)
    view.gradients()
    gc.collect()
    assert logits() is None
    features = weakref.ref(view.features)
    del view
    assert features() is None


def test_features_of_other_numbers_need_their_images():
    view = Viewer(lively("test_resnet"))(pictures(2))
    with pytest.raises(ConfigError, match="3 feature maps for 2 images: say with rows"):
        view.head(view.features[[0, 0, 1]])
    rows = torch.tensor([0, 0, 1])
    logits = view.head(view.features[rows], rows)
    torch.testing.assert_close(logits, view.logits[rows], rtol=1e-4, atol=1e-4)


def test_a_second_look_at_other_images():
    model = lively("test_resnet")
    view = Viewer(model, ["layer3", "layer4"])(pictures())
    other = view.layers[0].again(pictures(3, seed=5))
    assert other.layer == "layer3"
    torch.testing.assert_close(other.logits, model(pictures(3, seed=5)).detach())


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 64, 96), r"expected a float batch .* got \(3, 64, 96\)"),
        (torch.zeros(2, 3, 64, 96, dtype=torch.uint8), "got .* of torch.uint8"),
    ],
)
def test_images_are_checked(images, message):
    with pytest.raises(ConfigError, match=message):
        Viewer(lively("test_resnet"))(images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "layer9"}, "no layer 'layer9'"),
        ({"layer": []}, "one or more different layers"),
        ({"layer": ["layer1", "layer1"]}, "one or more different layers"),
        ({"layer": ["layer1", "layer2"], "fusion": "sum"}, "unknown fusion 'sum'; known: max"),
    ],
)
def test_settings_are_checked(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Viewer(lively("test_resnet"), **arguments)(pictures())


def test_layers_that_give_no_map_are_refused():
    with pytest.raises(ConfigError, match="is no feature map of images"):
        Viewer(lively("test_resnet"), "fc")(pictures())
    with pytest.raises(ConfigError, match="no layer of Sequential gives a feature map"):
        Viewer(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 96, 4)))(pictures())
