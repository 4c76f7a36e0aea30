import pytest
import torch

from camzoo.api import compute_cams
from camzoo.cams.lpcam import Lpcam
from camzoo.cams.smooth import SmoothGradCamPlusPlus
from camzoo.errors import ConfigError, UnknownNameError
from tests.cams.networks import lively, pictures

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
