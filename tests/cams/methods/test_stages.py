import numpy as np
import pytest
import pytorch_grad_cam
import timm
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from camzoo.cams.methods.stages import RefineCam, UmCam
from camzoo.cams.view.targets import stage_layers
from camzoo.cams.view.viewer import Viewer
from camzoo.core.errors import ConfigError
from camzoo.network.taps import TappedModel
from tests.cams.networks import SMALL_RESNET, GivenFeatures, lively, pictures

LAYERS = ("layer2", "layer3", "layer4")


@pytest.fixture(scope="module")
def model():
    """Steep, so that the library's epsilon of Grad-CAM++ is small beside its gradients."""
    model = lively("test_resnet", 3, **SMALL_RESNET)
    weight = model.get_classifier().weight.data
    weight.sub_(weight.mean(0)).mul_(1e6)  # so that some class is positive at every place
    return model


def with_library(model, images, cls, layers):
    """The library's maps of images in a batch, [B, C, H, W]."""
    targets = ([ClassifierOutputTarget(c)] * len(images) for c in range(3))
    cam = cls(model, [model.get_submodule(layer) for layer in layers])
    return torch.stack([torch.as_tensor(cam(images, each)) for each in targets], dim=1)


def test_a_sure_place_weighs_more_than_an_unsure_one():
    """1 has no entropy and 1/2 has log 2: the weights are 2/3 and 1/3."""
    maps = torch.tensor([[1.0, 0.0, 0.25], [0.5, 0.5, 0.25]])
    assert UmCam().fuse(maps).tolist() == pytest.approx([5 / 6, 1 / 6, 0.25])


def test_um_cam_is_the_authors_formula_on_maps_of_grad_cam(model):
    """The exponential of minus the entropy, over its sum; on maps that the library made."""
    images = pictures(2)
    given = [with_library(model, images, pytorch_grad_cam.GradCAM, [one]) for one in LAYERS]
    maps = torch.stack(given).double().numpy().clip(1e-12, 1 - 1e-12)
    weights = np.exp(maps * np.log(maps) + (1 - maps) * np.log(1 - maps))
    expected = torch.from_numpy((maps * weights).sum(0) / weights.sum(0)).float()
    ours = UmCam(stages=3)(Viewer(model)(images))
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-4)
    assert (ours.amax((2, 3)) > 0.8).sum() == 4


def test_refine_cam_is_that_of_pytorch_grad_cam(model):
    images = pictures(2)
    theirs = with_library(model, images, pytorch_grad_cam.RefineCAM, LAYERS)
    ours = RefineCam(stages=3)(Viewer(model)(images))
    largest = ours.amax((2, 3), keepdim=True)
    assert (largest > 0.01).all()
    torch.testing.assert_close(ours / largest, theirs, rtol=0, atol=1e-3)


def test_maps_do_not_depend_on_the_target_layer(model):
    images = pictures(2)
    here, there = (UmCam()(Viewer(model, layer)(images)) for layer in (None, "layer2"))
    torch.testing.assert_close(here, there)
    assert here.shape == (2, 3, 64, 96)


def test_methods_share_one_pass_of_the_stages_and_none_can_change_it_unseen(model):
    view, passes = Viewer(model)(pictures(2)), []
    hook = model.conv1.register_forward_hook(lambda *_: passes.append(1))
    UmCam()(view)
    once = len(passes)  # and what it takes to find out what the layers are
    RefineCam()(view)
    hook.remove()
    assert len(passes) == once
    view.at(stage_layers(model, 4))[0].features.add_(1)
    assert view.changes() == "view.features"


def test_stages_are_those_that_a_cut_trunk_has_left(model):
    assert stage_layers(model, 3) == LAYERS
    trunk = timm.create_model("test_resnet", **SMALL_RESNET)
    tapped = TappedModel(trunk, (3, 4), 8, 3)
    assert stage_layers(tapped, 2) == ("trunk.layer2", "trunk.layer3")
    maps = UmCam(stages=2)(Viewer(tapped.eval())(pictures(2)))
    assert maps.shape == (2, 3, 64, 96)
    assert maps.isfinite().all()


def test_a_network_without_stages_is_refused():
    with pytest.raises(ConfigError, match="the ends of 4 stages, and timm names 0 of GivenFeat"):
        UmCam()(Viewer(GivenFeatures([[1.0, 2.0]]))(torch.ones(1, 2, 8, 8)))


def test_one_stage_is_no_several():
    with pytest.raises(ConfigError, match="um-cam: stages"):
        UmCam(stages=1)
