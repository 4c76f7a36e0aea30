import numpy as np
import pytest
import pytorch_grad_cam
import torch

from camzoo.cams.methods import wrapped
from camzoo.cams.methods.wrapped import class_names
from camzoo.cams.view.viewer import Viewer
from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.network.isolation import undone
from camzoo.registries import cams
from tests.cams.networks import GivenFeatures, lively, pictures

FINISHED = {"FinerCAM", "FullGrad", "RefineCAM", "SESS"}
SMALL = {"channels": (8, 8, 8, 8)}


def test_every_cam_class_of_the_library_is_found():
    """Found by reading sources; checked against the imported library."""

    def is_cam(name):
        member = getattr(pytorch_grad_cam, name)
        return isinstance(member, type) and (
            issubclass(member, pytorch_grad_cam.base_cam.BaseCAM)
            or name in {"FinerCAM", "RefineCAM", "SESS"}
        )

    expected = {name for name in dir(pytorch_grad_cam) if is_cam(name)} - {"BaseCAM"}
    assert set(class_names()) == expected
    assert len(expected) >= 19
    assert {f"gradcam:{name}" for name in expected} == set(cams.names("gradcam:*"))


@pytest.mark.parametrize("name", class_names())
def test_each_runs_and_leaves_nothing_behind(name):
    model, images = lively("test_resnet", 2, **SMALL), pictures(2, 64, 32)
    model.train()
    model.layer1.eval()
    model.conv1.requires_grad_(False)
    (model(images).sum()).backward()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    facts = [(m.training, len(m._forward_hooks), list(m._modules)) for m in model.modules()]
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    flags = [p.requires_grad for p in model.parameters()]
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    method = cams.get(f"gradcam:{name}")()
    maps = method(Viewer(model)(images))
    assert maps.shape == (2, 2, *((64, 32) if name in FINISHED else (2, 1)))
    assert maps.isfinite().all()
    assert torch.equal(maps, method(Viewer(model)(images)))
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
    after = [(m.training, len(m._forward_hooks), list(m._modules)) for m in model.modules()]
    assert after == facts
    assert [p.requires_grad for p in model.parameters()] == flags
    for parameter, grad in zip(model.parameters(), grads, strict=True):
        assert (parameter.grad is None) == (grad is None)
        assert grad is None or torch.equal(parameter.grad, grad)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


@pytest.mark.parametrize("name", ["AblationCAM", "FullGrad"])
def test_nothing_is_printed(name, capfd):
    view = Viewer(lively("test_resnet", 2, **SMALL))(pictures(1, 32, 64))
    cams.get(f"gradcam:{name}")()(view)
    assert capfd.readouterr() == ("", "")


def test_undone_survives_an_error():
    model = lively("test_resnet", **SMALL)
    layer4 = model.layer4

    def meddle():
        model.train()
        model.layer4 = torch.nn.Identity()
        model.layer1.register_forward_hook(print)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), undone(model):
        meddle()
    assert model.layer4 is layer4
    assert not model.training
    assert not model.layer1._forward_hooks


def test_class_agnostic_classes_say_so():
    assert not cams.get("gradcam:EigenCAM").class_specific
    assert cams.get("gradcam:GradCAM").class_specific
    assert cams.get("gradcam:FinerCAM").min_classes == 2


def test_classes_that_do_not_exist():
    with pytest.raises(UnknownNameError, match="did you mean gradcam:GradCAM"):
        cams.get("gradcam:GradCAN")
    with pytest.raises(AttributeError, match="no CAM class 'Nothing'"):
        wrapped.Nothing  # noqa: B018


def test_features_that_no_module_gives_cannot_be_hooked():
    view = Viewer(GivenFeatures(torch.ones(2, 3)))(pictures(1, 4, 6))
    with pytest.raises(ConfigError, match="no module of GivenFeatures gives the features"):
        cams.get("gradcam:GradCAM")()(view)
