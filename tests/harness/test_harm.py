"""A method cannot change what another sees; one that tries has failed, and its row says of what."""

import copy
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from camzoo.cams.base import CamMethod, FitContext, cams
from camzoo.cams.map_arrays import MapArrays
from camzoo.cams.pipeline import make_maps
from camzoo.cams.view.model_seal import ModelSeal
from camzoo.config import MapsConfig
from camzoo.core.errors import ConfigError
from camzoo.harness.guarded import Guarded
from camzoo.network.backbone import Classifier
from tests.cams.networks import SMALL_RESNET, lively
from tests.toy import toy_slices

CPU = torch.device("cpu")
CONFIG = MapsConfig(side=64, scales=(1.0,), flip="never", size=8, batch=2)
SLICES = toy_slices(count=3, size=64)
NEIGHBOURS = ("cam", "grad-cam", "ablation-cam")


def classifier():
    return Classifier(
        lively("test_resnet", classes=2, **SMALL_RESNET), (0.4,) * 3, (0.3,) * 3, frozen_norm=True
    ).eval()


def run(*methods, layer=None):
    """Maps of methods side by side as a run makes them, the guards, and the classifier."""
    model = classifier()
    seal = ModelSeal(model)
    guarded = {str(n): Guarded(method, seal=seal) for n, method in enumerate(methods)}
    for method in guarded.values():
        generator = torch.Generator().manual_seed(0)
        method.fit(FitContext(model, SLICES, generator, CPU, layer))
    sinks = {name: MapArrays.empty(3, 2, 8) for name in guarded}
    make_maps(
        model,
        guarded,
        SLICES,
        CONFIG,
        sinks,
        layer=layer,
        precision="fp32",
        seal=seal,
        blame=lambda name, changed: guarded[name].blame(changed),
    )
    return list(sinks.values()), list(guarded.values()), model


@cache
def undisturbed(names, layer):
    sinks, guards, model = run(*(cams.get(name) for name in names), layer=layer)
    assert not any(guard.failure for guard in guards)
    return sinks, model


def writer(change):
    class Writer(CamMethod):
        """Changes something of the view, and returns maps."""

        def saliency(self, view):
            change(view)
            return torch.ones(*view.logits.shape, 2, 2)

    return Writer


def fitter(change):
    class Fitter(CamMethod):
        """Changes something while it learns."""

        needs_fit = True

        def fit(self, context):
            change(context.classifier)

        def saliency(self, view):
            return torch.ones(*view.logits.shape, 2, 2)

    return Fitter


def to_zero(tensor):
    tensor.zero_()


def past_the_count(tensor):
    tensor.data.mul_(-1)


def through_numpy(tensor):
    tensor.numpy()[...] *= 2


def mirrored_through_numpy(tensor):
    values = tensor.numpy()
    values[...] = values[..., ::-1].copy()


WRITES = {"in place": to_zero, "data": past_the_count, "numpy": through_numpy,
          "mirrored": mirrored_through_numpy}  # fmt: skip
ATTRIBUTES = ("images", "features", "logits", "class_weights")


def check(method, what, layer=None, neighbours=NEIGHBOURS):
    """A method fails for ``what``, and its neighbours on both sides have the maps they ought to."""
    around = [cams.get(name) for name in neighbours]
    alone, expected = undisturbed(neighbours, layer)
    sinks, (*before, bad), model = run(*around, method, layer=layer)
    other_sinks, (bad_first, *after), _ = run(method, *around, layer=layer)
    for guard in (bad, bad_first):
        assert what in guard.failure
        if "Frozen" not in guard.failure:
            assert "which other methods read; let it work on a copy" in guard.failure
        assert "\n" not in guard.failure
    assert not any(guard.failure for guard in (*before, *after))
    for right, beside, behind in zip(alone, sinks, other_sinks[1:], strict=False):
        assert right.maps.any()
        assert np.array_equal(right.maps, beside.maps)
        assert np.array_equal(right.maps, behind.maps)
    require_same(model, expected)


def require_same(model, expected):
    for (name, one), other in zip(
        model.state_dict().items(), expected.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name
    assert [m.training for m in model.modules()] == [m.training for m in expected.modules()]
    assert [p.requires_grad for p in model.parameters()] == [
        p.requires_grad for p in expected.parameters()
    ]
    assert not any(m._forward_hooks for m in model.modules())


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_what_a_view_holds_is_written_into(name, write):
    check(writer(lambda view: write(getattr(view, name))), f"ConfigError: it changed view.{name}")


@pytest.mark.parametrize("name", [*ATTRIBUTES, "closed_form", "layer", "layout", "rows", "_pass"])
def test_what_a_view_holds_cannot_be_exchanged(name):
    check(writer(lambda view: setattr(view, name, "other")), f"cannot assign to field '{name}'")
    check(writer(lambda view: delattr(view, name)), f"cannot delete field '{name}'")


def test_nothing_can_be_added_to_a_view():
    check(writer(lambda view: setattr(view, "mine", 1)), "cannot assign to field 'mine'")


@pytest.mark.parametrize("name", ["gradients", "ablated_logits"])
@pytest.mark.parametrize("write", [to_zero, past_the_count])
def test_what_methods_share_is_written_into(name, write):
    def change(view):
        write(getattr(view, name)())

    neighbours = ("grad-cam", "ablation-cam", "layer-cam")
    check(writer(change), f"it changed view.{name}()", "layer3", neighbours)


def test_images_are_made_to_require_gradients():
    check(writer(lambda view: view.images.requires_grad_()), "it changed view.images")


CHANGES = {
    "weights in place": lambda model: nn.init.zeros_(model.model.layer2[0].conv1.weight),
    "weights through data": lambda model: model.model.layer2[0].conv1.weight.data.mul_(2),
    "weights through numpy": lambda model: through_numpy(
        model.model.layer2[0].conv1.weight.detach()
    ),
    "weights elsewhere": lambda model: setattr(
        model.model.fc.weight, "data", torch.zeros_like(model.model.fc.weight)
    ),
    "another parameter": lambda model: setattr(
        model.model.fc, "weight", nn.Parameter(torch.zeros_like(model.model.fc.weight))
    ),
    "another type": lambda model: model.double(),
    "a buffer": lambda model: model.model.bn1.running_mean.add_(1),
    "the mean of the input": lambda model: model.mean.add_(1),
    "its mode": lambda model: model.model.layer3.train(),
    "frozen": lambda model: model.requires_grad_(False),
    "a hook": lambda model: model.model.layer3.register_forward_hook(lambda *_: torch.zeros(1)),
    "a forward of its own": lambda model: setattr(model.model.layer3, "forward", lambda x: x),
    "another layer": lambda model: setattr(model.model, "layer4", nn.Identity()),
    "no layer": lambda model: delattr(model.model, "layer4"),
    "a setting": lambda model: setattr(model.model.bn1, "eps", 10.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_classifier_is_changed_while_a_method_learns(change):
    check(fitter(change), "it changed the classifier: ")


def test_the_classifier_is_changed_and_then_an_error_raised():
    def change(model):
        CHANGES["weights in place"](model)
        raise ValueError("too late")

    alone, expected = undisturbed(NEIGHBOURS, None)
    (_, beside), (bad, cam), model = run(fitter(change), cams.get("cam"))
    assert bad.failure == "ValueError: too late"
    assert not cam.failure
    assert np.array_equal(alone[0].maps, beside.maps)
    require_same(model, expected)


@pytest.mark.parametrize("name", ["weights in place", "weights through data", "its mode", "a hook"])
def test_the_classifier_is_changed_in_the_middle_of_a_batch(name):
    class Changer(CamMethod):
        """Reaches for the classifier through the view."""

        def saliency(self, view):
            holder = nn.Module()
            holder.model = view.viewer.model
            CHANGES[name](holder)
            return torch.ones(*view.logits.shape, 2, 2)

    check(Changer, "it changed the classifier: ")


def test_view_and_classifier_are_changed_at_once():
    """The view is made anew at once, through a classifier that is not what it was."""

    def change(view):
        view.features.zero_()
        view.viewer.model.fc.weight.data.zero_()
        nn.init.zeros_(view.viewer.model.layer2[0].conv1.weight)

    check(writer(change), "it changed ")


def test_gradients_that_a_method_leaves_in_the_classifier_harm_nobody():
    def backward(model):
        model(torch.rand(1, 3, 64, 64)).sum().backward()

    alone, _ = undisturbed(NEIGHBOURS, None)
    (_, beside), (careless, _), _ = run(fitter(backward), cams.get("cam"))
    assert not careless.failure
    assert np.array_equal(alone[0].maps, beside.maps)


def test_without_a_guard_the_error_names_the_method():
    model = classifier()
    methods = {"bad": writer(lambda view: through_numpy(view.features))()}
    sinks = {"bad": MapArrays.empty(3, 2, 8)}
    with pytest.raises(ConfigError, match=r"bad changed view\.features"):
        make_maps(model, methods, SLICES, CONFIG, sinks, layer=None, precision="fp32")


def test_no_built_in_method_is_accused():
    names = ["cam", "grad-cam", "fullgrad", "opti-cam", "shapley-cam", "gradcam:AblationCAM",
             "gradcam:FullGrad", "lpcam", "score-cam"]  # fmt: skip
    _, guards, _ = run(*(cams.get(name) for name in names), layer="layer4")
    assert [guard.failure for guard in guards] == [""] * len(names)


def test_a_seal_is_as_good_as_a_copy():
    model = classifier()
    kept, seal = copy.deepcopy(model.state_dict()), ModelSeal(model)
    assert seal.changes(thorough=True) == ""
    for change in CHANGES.values():
        change(model)
    assert seal.changes(thorough=True)
    seal.restore()
    assert seal.changes(thorough=True) == ""
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
