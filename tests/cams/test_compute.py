import warnings

import numpy as np
import pytest
import torch
from torch import nn

from camzoo.cams.base import CamMethod
from camzoo.cams.compute import MissingMapsWarning, compute_cams
from camzoo.cams.methods.lpcam import Lpcam
from camzoo.cams.methods.smooth import SmoothGradCamPlusPlus
from camzoo.core.errors import ConfigError, UnknownNameError
from tests.cams.networks import GivenFeatures, lively, pictures

PAPER = ["cam", "grad-cam", "grad-cam++", "ablation-cam", "eigen-cam", "layer-cam"]


def test_all_methods_of_the_paper_from_one_pass():
    model, passes = lively("test_resnet"), []
    model.conv1.register_forward_hook(lambda *_: passes.append(1))
    maps = compute_cams(model, pictures(), PAPER)
    assert list(maps) == PAPER
    assert {tuple(m.shape) for m in maps.values()} == {(2, 4, 2, 3)}
    assert len(passes) == 1


def test_one_name_and_methods_with_settings():
    model = lively("test_resnet")
    assert list(compute_cams(model, pictures(), "eigen-cam")) == ["eigen-cam"]
    maps = compute_cams(model, pictures(), [SmoothGradCamPlusPlus(samples=1)], layer="layer3")
    assert maps["smooth-grad-cam++"].shape == (2, 4, 4, 6)


def test_several_layers():
    maps = compute_cams(
        lively("test_resnet"), pictures(), "layer-cam", ["layer2", "layer4"], fusion="product"
    )
    assert maps["layer-cam"].shape == (2, 4, 8, 12)


def test_maps_are_plain_tensors():
    model = lively("test_resnet").requires_grad_(False)
    with torch.inference_mode():
        maps = compute_cams(model, pictures(), PAPER)
    assert not any(m.requires_grad for m in maps.values())
    assert all(m.dtype == torch.float32 for m in maps.values())


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (["cam", "cam"], "'cam' is asked for twice"),
        ("lpcam", "lpcam learns from training slices: fit it"),
        ([Lpcam()], "lpcam has to be fitted"),
        ("finer-cam", "finer-cam compares classes and needs 2; the model has 1"),
    ],
)
def test_what_cannot_be_computed_is_refused(methods, message):
    with pytest.raises(ConfigError, match=message):
        compute_cams(lively("test_resnet", 1), pictures(), methods)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="did you mean grad-cam"):
        compute_cams(lively("test_resnet"), pictures(), "grd-cam")


class Broken(CamMethod):
    """Raises what a plug-in may."""

    def saliency(self, view):
        raise ZeroDivisionError("nothing to divide")


class Careless(CamMethod):
    """Writes into what it is shown."""

    def saliency(self, view):
        view.features.zero_()
        return view.logits[:, :, None, None]


def test_methods_that_cannot_be_had_do_not_lose_the_others():
    model = lively("test_resnet", 1)
    methods = [Careless(), "finer-cam", "grad-cam", "lpcam", Broken(), "eigen-cam"]
    with pytest.warns(MissingMapsWarning) as caught:
        maps = compute_cams(model, pictures(), methods)
    assert list(maps) == ["grad-cam", "eigen-cam"]
    (warning,) = caught
    for reason in (
        "Careless: Careless changed view.features, which other methods read",
        "finer-cam: finer-cam compares classes and needs 2; the model has 1",
        "lpcam: lpcam learns from training slices",
        "Broken: ZeroDivisionError('nothing to divide')",
    ):
        assert reason in str(warning.message)
    alone = compute_cams(model, pictures(), ["grad-cam", "eigen-cam"])
    assert all(torch.equal(maps[name], alone[name]) for name in alone)


def test_where_none_can_be_had_that_is_an_error():
    model = lively("test_resnet", 1)
    with pytest.raises(ConfigError, match=r"none of the methods can be had here: .*finer-cam"):
        compute_cams(model, pictures(), ["finer-cam", "lpcam"])
    with pytest.raises(ZeroDivisionError):
        compute_cams(model, pictures(), Broken())
    with pytest.raises(ConfigError, match=r"Careless changed view\.features"):
        compute_cams(model, pictures(), Careless())


@pytest.mark.parametrize("error", [MemoryError(), OSError(28, "no space"), KeyboardInterrupt()])
def test_faults_of_the_machine_end_the_call(error):
    class Unlucky(CamMethod):
        """Meets a fault of the machine."""

        def saliency(self, view):
            raise error

    with pytest.raises(type(error)):
        compute_cams(lively("test_resnet"), pictures(), ["cam", Unlucky()])


def test_numpy_images_and_grey_ones():
    model = lively("test_resnet", in_chans=1)
    images = pictures(channels=1)
    right = compute_cams(model, images, "cam")["cam"]
    for given in (
        images.numpy(),
        images.numpy()[:, 0],
        images.numpy().astype(np.float64)[:, 0],
        np.asfortranarray(images.numpy()),
        images[:, 0],
    ):
        assert torch.equal(compute_cams(model, given, "cam")["cam"], right)
    flipped = images.numpy()[..., ::-1]  # which torch does not take as it is
    turned = compute_cams(model, flipped, "cam")["cam"]
    assert torch.equal(turned, compute_cams(model, images.flip(-1), "cam")["cam"])


def test_half_precision_takes_numpy_images_too():
    model = lively("test_resnet").to(torch.bfloat16)
    assert compute_cams(model, pictures().numpy(), "cam")["cam"].dtype == torch.float32


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 64, 96, 3)), "[2, 64, 96, 3]; bring the last axis to the front"),
        (torch.zeros(2, 64, 96, 3), "[2, 64, 96, 3]; bring the last axis to the front"),
        (np.zeros((2, 64, 96)), "[2, 64, 96]; only a model of one channel takes grey images"),
        (np.zeros((2, 3, 64, 96), np.uint8), "expected images as floats, normalised"),
        (np.zeros((2, 3, 64, 96), bool), "expected images as floats, normalised"),
        (np.zeros((2, 3, 64, 96), object), "expected images as floats, normalised"),
        (torch.zeros(2, 3, 64, 96, dtype=torch.uint8), "of torch.uint8"),
        (torch.zeros(64, 96), "expected a float batch of images"),
        (torch.zeros(0, 3, 64, 96), "expected a float batch of images"),
        (np.zeros((2, 3, 0, 96)), "expected a float batch of images"),
        (torch.zeros(2, 3, 64, 96, 1), "expected a float batch of images"),
        ([[1.0]], "expected images as a tensor or a NumPy array, got list"),
        ("x.png", "expected images as a tensor or a NumPy array, got str"),
        (None, "expected images as a tensor or a NumPy array, got NoneType"),
        (torch.zeros(2, 5, 64, 96), "cannot be looked into on images [2, 5, 64, 96]"),
        (torch.zeros(2, 3, 64, 96, device="meta"), "on meta"),
    ],
)
def test_wrong_images_are_refused_in_one_line(images, message):
    with pytest.raises(ConfigError) as caught:
        compute_cams(lively("test_resnet"), images, "cam")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_some_classes_in_the_order_asked_for():
    model = lively("test_resnet")
    every = compute_cams(model, pictures(), ["cam", "grad-cam"])
    some = compute_cams(model, pictures(), ["cam", "grad-cam"], classes=[3, 1])
    for name in every:
        assert torch.equal(some[name], every[name][:, [3, 1]])
    one = compute_cams(model, pictures(), "cam", classes=np.int64(2))["cam"]
    assert torch.equal(one, every["cam"][:, [2]])


@pytest.mark.parametrize(
    "classes", [4, -1, [0, 0], [], "liver", ["liver"], [1.0], True, [True], [None], 1.5, [0, 4]]
)
def test_wrong_classes_are_refused(classes):
    with pytest.raises(ConfigError, match=r"expected .*classes .*0 to 3, got"):
        compute_cams(lively("test_resnet"), pictures(), "cam", classes=classes)


@pytest.mark.parametrize("methods", [[], [7], [None], 7, nn.ReLU()])
def test_wrong_methods_are_refused(methods):
    with pytest.raises(ConfigError, match="method"):
        compute_cams(lively("test_resnet"), pictures(), methods)


def test_the_users_weights_are_not_handed_out():
    class Greedy(CamMethod):
        """Writes into the weights it is shown."""

        def saliency(self, view):
            view.class_weights.zero_()
            return view.logits[:, :, None, None]

    model = GivenFeatures([[3.0, -2.0, 1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingMapsWarning)
        compute_cams(model, pictures(), ["cam", Greedy()])
    assert model.fc.weight.tolist() == [[3.0, -2.0, 1.0]]


def test_methods_take_settings_by_name():
    model, images = lively("test_resnet"), pictures()
    maps = compute_cams(model, images, ["fem", "fem:sigmas=0.5"])
    assert list(maps) == ["fem", "fem:sigmas=0.5"]
    assert not torch.equal(maps["fem"], maps["fem:sigmas=0.5"])
    with pytest.raises(ConfigError, match="'fem' is asked for twice"):
        compute_cams(model, images, ["fem", "fem:sigmas=2.0"])
    with pytest.raises(ConfigError, match="fem: sigmas takes a number from 0 to 100, got -1"):
        compute_cams(model, images, "fem:sigmas=-1")
