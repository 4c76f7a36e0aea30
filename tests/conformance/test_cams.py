"""The conformance kit, run on every registered method, and on methods that break each rule."""

import pytest
import torch

from camzoo.cams.base import CamMethod
from camzoo.cams.methods.opti import OptiCam
from camzoo.conformance.cams import check_method
from camzoo.registries import cams


class BriefOptiCam(OptiCam):
    """Opti-CAM takes 50 steps; what the kit asks shows after two."""

    def __init__(self):
        super().__init__(steps=2)


QUICK = {"opti-cam": BriefOptiCam}
NATIVE = [name for name in cams.names() if not name.startswith("gradcam:")]


@pytest.mark.parametrize("name", NATIVE)
def test_every_method_conforms(name):
    results = check_method(QUICK.get(name) or cams.get(name))
    assert not [result for result in results if not result.passed]


@pytest.mark.parametrize("name", NATIVE)
def test_every_method_says_what_it_is(name):
    method = cams.get(name)
    assert method.name == name
    assert method.paper
    assert method.cost
    assert method.__doc__


class Good(CamMethod):
    def saliency(self, view):
        return view.gradients().sum(2) + view.features.sum(1, keepdim=True)


class Transposed(Good):
    def saliency(self, view):
        return super().saliency(view).transpose(2, 3)


class Channels(Good):
    def saliency(self, view):
        return view.features


class ThreeChannels(Good):
    def saliency(self, view):
        return super().saliency(view) + view.images[:, 2].mean()


class Double(Good):
    def saliency(self, view):
        return super().saliency(view).double()


class OnGraph(Good):
    def saliency(self, view):
        return super().saliency(view) * torch.ones(1, requires_grad=True)


class Restless(Good):
    def saliency(self, view):
        maps = super().saliency(view)
        return maps + torch.rand_like(maps)


class Sociable(Good):
    def saliency(self, view):
        maps = super().saliency(view)
        return maps - maps.mean(0)


class Divides(Good):
    def saliency(self, view):
        maps = super().saliency(view)
        spread = view.features.std((2, 3)).mean(1)[:, None, None, None]
        return maps / spread


class Logarithm(Good):
    def saliency(self, view):
        return view.features.mean(1, keepdim=True).log().expand(-1, view.logits.shape[1], -1, -1)


class Zero(Good):
    def saliency(self, view):
        maps = super().saliency(view)
        return maps / view.features.abs().sum((1, 2, 3), keepdim=True)


class Sorted(Good):
    def saliency(self, view):
        return super().saliency(view).sort(1).values


class Agnostic(Good):
    class_specific = False


class Deep(Good):
    def saliency(self, view):
        return super().saliency(view) / (view.features.shape[1] == 16)


class Differentiates(Good):
    def saliency(self, view):
        with torch.enable_grad():
            features = (view.features + 0).requires_grad_()
            logits = view.viewer.model.forward_head(features)
            return torch.autograd.grad(logits.sum(), features)[0][:, :1].expand(
                -1, logits.shape[1], -1, -1
            )


class Trains(Good):
    def saliency(self, view):
        view.viewer.model.eval()
        return super().saliency(view)


class Hooks(Good):
    def saliency(self, view):
        view.viewer.model.layer1.register_forward_hook(lambda *_: None)
        return super().saliency(view)


class Learns(Good):
    def saliency(self, view):
        with torch.no_grad():
            view.viewer.model.fc.weight[0, 0] += 1e-3
        return super().saliency(view)


class Backward(Good):
    def saliency(self, view):
        with torch.inference_mode(False), torch.enable_grad():
            view.head(view.features.clone().requires_grad_()).sum().backward()
        return super().saliency(view)


class Writes(Good):
    def saliency(self, view):
        maps = super().saliency(view)
        view.features.mul_(2)
        return maps


def failures(method):
    return {result.name: result.message for result in check_method(method) if not result.passed}


def test_a_good_method_passes():
    assert failures(Good) == {}


@pytest.mark.parametrize(
    ("method", "check", "message"),
    [
        (Transposed, "shape [B, C, h, w] for images that are not square", "got 2 x 3"),
        (Channels, "shape [B, C, h, w] for images that are not square", "got [3, 16, 3, 2]"),
        (ThreeChannels, "one class, one image channel", "IndexError"),
        (Double, "float32, on the device of the images, without a graph", "got torch.float64"),
        (OnGraph, "float32, on the device of the images, without a graph", "hang on a graph"),
        (Restless, "the same twice", "two runs differ"),
        (Sociable, "each image for itself", "another map than in a batch"),
        (Logarithm, "features all negative", "not finite"),
        (Divides, "features constant", "not finite"),
        (Zero, "features zero", "not finite"),
        (Sorted, "order of classes", "does not exchange their maps"),
        (Agnostic, "order of classes", "class_specific is False"),
        (Deep, "a layer in the middle", "not finite"),
        (Differentiates, "under torch.inference_mode", "raised RuntimeError"),
        (Trains, "model, modes, hooks and gradients unchanged", "mode of"),
        (Hooks, "model, modes, hooks and gradients unchanged", "hooks of layer1"),
        (Learns, "model, modes, hooks and gradients unchanged", "fc.weight of the model"),
        (Backward, "model, modes, hooks and gradients unchanged", "gradient of"),
        (Writes, "the view unchanged", "view.features, which other methods read, is changed"),
    ],
)
def test_each_rule_is_noticed_when_broken(method, check, message):
    assert message in failures(method)[check]
