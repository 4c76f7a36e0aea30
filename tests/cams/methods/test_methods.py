"""The other families, each against numbers worked out by hand or a loop written another way."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from camzoo.cams.methods.eigen import EigenCam, first_component, orient, towards_larger_extreme
from camzoo.cams.methods.fem import Fem
from camzoo.cams.methods.finer import FinerCam
from camzoo.cams.methods.fullgrad import full_gradients
from camzoo.cams.methods.opti import OptiCam
from camzoo.cams.methods.smooth import SmoothGradCamPlusPlus
from camzoo.cams.view.viewer import Viewer
from camzoo.core.errors import ConfigError
from camzoo.registries import cams
from tests.cams.networks import SMALL_DENSENET, GivenFeatures, SquaredFeatures, lively, pictures

#: As in test_gradient.py.
IMAGES = torch.tensor([[[[1.0, 5.0]], [[2.0, 4.0]]]])
WEIGHTS = [[3.0, -2.0]]
linear, squared = GivenFeatures(WEIGHTS), SquaredFeatures(WEIGHTS)


def values(name, model, images=IMAGES):
    return cams.get(name)()(Viewer(model)(images)).flatten().tolist()


def test_cam():
    assert values("cam", linear) == [3 * 1 - 2 * 2, 3 * 5 - 2 * 4]


def test_cam_needs_a_linear_classifier_on_the_features():
    with pytest.raises(ConfigError, match="ResNet does something else with those of this"):
        cams.get("cam")()(Viewer(lively("test_resnet"), "layer3")(pictures()))
    with pytest.raises(ConfigError, match="use grad-cam"):
        cams.get("cam")()(Viewer(lively("mobilenetv3_small_050"))(pictures()))


def test_ablation_cam():
    # Without A_0 the logit 19 is -20, without A_1 it is 39.
    assert values("ablation-cam", squared) == [39 * 1 - 20 * 2, 39 * 5 - 20 * 4]
    # w mean A: 9 and -6
    assert values("ablation-cam", linear) == [9 * 1 - 6 * 2, 9 * 5 - 6 * 4]


def test_ablation_cam_does_not_turn_over_when_the_logit_is_negative():
    """Divided by y_c = -12, as in the paper, the evidence against the class would be for it."""
    images = torch.tensor([[[[1.0, 5.0]], [[2.0, 4.0]]]])
    model = GivenFeatures([[1.0, -5.0]])
    assert Viewer(model)(images).logits.item() == -12
    assert values("ablation-cam", model) == [3 * 1 - 15 * 2, 3 * 5 - 15 * 4]


def test_shapley_cam():
    # H A = g, so that the weights are half of Grad-CAM's 18 and -12.
    assert values("shapley-cam", squared) == [9 * 1 - 6 * 2, 9 * 5 - 6 * 4]
    assert values("shapley-cam", linear) == values("grad-cam", linear)


def test_reciprocal_cam():
    assert values("reciprocal-cam", squared) == [2 * (1.5 * 1 - 4), 2 * (1.5 * 25 - 16)]
    # With a bias of 10: 2 * (10 + (3 - 4) / 2 - 10)
    assert values("reciprocal-cam", GivenFeatures(WEIGHTS, [10.0])) == [-1, 7]


@pytest.mark.parametrize("name", ["test_convnext", "test_vit"])
def test_reciprocal_cam_place_by_place(name, monkeypatch):
    monkeypatch.setattr(
        "camzoo.cams.methods.reciprocal.CHUNK", 64 * 24 * 5
    )  # several uneven chunks
    options = {"img_size": (64, 96)} if "vit" in name else {}
    view = Viewer(lively(name, **options))(pictures())
    maps = cams.get("reciprocal-cam")()(view)
    empty, places = view.head(view.features * 0), view.features[0, 0].numel()
    for y, x in [(0, 0), (1, 2)]:
        alone = torch.zeros_like(view.features)
        alone[:, :, y, x] = view.features[:, :, y, x]
        torch.testing.assert_close(
            maps[:, :, y, x], (view.head(alone) - empty) * places, rtol=1e-3, atol=1e-3
        )


def test_eigen_cam():
    # The places (1, 2) and (5, 4) lie at -sqrt 5 and sqrt 5 along (2, 1); the second is stronger.
    assert values("eigen-cam", linear) == pytest.approx([-(5**0.5), 5**0.5], rel=1e-6)


def test_eigen_cam_is_the_same_for_all_classes():
    view = Viewer(lively("test_resnet"))(pictures())
    maps = EigenCam()(view)
    assert not EigenCam.class_specific
    assert torch.equal(maps, maps[:, :1].expand(-1, 4, -1, -1))


@pytest.mark.parametrize("shape", [(2, 40, 3, 5), (2, 4, 6, 5)])  # more channels, more places
def test_first_component_is_that_of_numpys_svd(shape):
    features = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    component = first_component(features)
    for image, got in zip(features.numpy(), component.numpy(), strict=True):
        places = image.reshape(shape[1], -1).T.astype(np.float64)
        places -= places.mean(0)
        left, singular, _ = np.linalg.svd(places, full_matrices=False)
        expected = (left[:, 0] * singular[0]).reshape(shape[2:])
        expected *= np.sign((expected * got).sum())
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_signs_are_fixed_by_a_rule_and_not_by_the_linear_algebra(monkeypatch):
    view = Viewer(lively("test_resnet"))(pictures())
    names = ["eigen-cam", "eigen-grad-cam", "seg-eigen-cam", "kpca-cam"]
    before = {name: cams.get(name)()(view) for name in names}
    eigh = torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda m: type(eigh(m))((eigh(m)[0], -eigh(m)[1])))
    for name in names:
        assert torch.equal(cams.get(name)()(view), before[name]), name


def test_orientation():
    maps = torch.tensor([[[-1.0, 3.0]], [[-1.0, 3.0]], [[-3.0, 1.0]], [[-1.0, 3.0]]])
    reference = torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]], [[2.0, 2.0]], [[2.0, 2.0]]])
    assert orient(maps, reference).tolist() == [
        [[-1, 3]],  # correlated: stays
        [[1, -3]],  # anti-correlated: flipped, though its maximum was the larger extreme
        [[3, -1]],  # no correlation: the larger extreme becomes positive
        [[-1, 3]],
    ]
    assert towards_larger_extreme(torch.tensor([[[-3.0, 1.0]]])).tolist() == [[[3, -1]]]


def test_eigen_grad_cam_points_to_the_evidence():
    """2 gradient x feature: (3, -4) and (15, -8), apart by (12, -4); they sum to -1 and 7."""
    half = (12**2 + 4**2) ** 0.5 / 2
    assert values("eigen-grad-cam", linear) == pytest.approx([-half, half], rel=1e-6)
    opposite = GivenFeatures([[-3.0, 2.0]])
    assert values("eigen-grad-cam", opposite) == pytest.approx([half, -half], rel=1e-6)


def test_fem():
    strong = [0.0, 0.0, 0.0, 10.0]  # mean 2.5, standard deviation 4.33: 10 is above one sigma
    constant = [4.0, 4.0, 4.0, 4.0]
    two = [1.0, 1.0, 9.0, 9.0]  # mean 5, standard deviation 4: 9 reaches one sigma exactly
    images = torch.tensor([[[strong], [constant], [two]]])
    view = Viewer(GivenFeatures([[1.0, 1.0, 1.0]]))(images)
    assert Fem(sigmas=1)(view).flatten().tolist() == [0, 0, 5, 7.5]
    assert Fem()(view).flatten().tolist() == [0, 0, 0, 0]


def test_finer_cam():
    """Logits 4, 3, 1: class 0 is compared with 1 and 2, and each with its two nearest."""
    images = torch.tensor([[[[1.0, 7.0]], [[3.0, 3.0]], [[0.0, 2.0]]]])
    model = GivenFeatures(torch.eye(3))
    assert Viewer(model)(images).logits.tolist() == [[4, 3, 1]]
    maps = FinerCam(alpha=1, references=2)(Viewer(model)(images))
    plain = images[0, :, 0]
    expected = [plain[c] - plain[[d for d in range(3) if d != c]].mean(0) for c in range(3)]
    torch.testing.assert_close(maps[0, :, 0], torch.stack(expected))
    nearest = FinerCam(alpha=0.5, references=1)(Viewer(model)(images))
    torch.testing.assert_close(nearest[0, 0, 0], plain[0] - 0.5 * plain[1])
    torch.testing.assert_close(nearest[0, 2, 0], plain[2] - 0.5 * plain[1])


def test_finer_cam_needs_another_class():
    with pytest.raises(ConfigError, match="there is only one"):
        FinerCam()(Viewer(linear)(IMAGES))


def test_smooth_grad_cam_without_noise_is_grad_cam_plus_plus():
    view = Viewer(squared)(IMAGES)
    torch.testing.assert_close(
        SmoothGradCamPlusPlus(samples=2, std=0)(view), cams.get("grad-cam++")()(view)
    )


def test_smooth_grad_cam_averages_derivatives_over_noise():
    """For y = sum w A^2 / 2 the gradient at A + noise is w (A + noise)."""
    view = Viewer(squared)(IMAGES)
    noise = torch.randn(5, 1, 2, 1, 2, generator=torch.Generator().manual_seed(3)) * 0.7
    g = torch.tensor([3.0, -2.0])[None, None, :, None, None] * (IMAGES + noise)
    d1, d2, d3 = g.mean(0), (g**2).mean(0), (g**3).mean(0)
    alpha = d2 / (2 * d2 + IMAGES.sum((2, 3), keepdim=True) * d3)
    expected = ((alpha * d1.relu()).sum((2, 3), keepdim=True) * IMAGES).sum(1, keepdim=True)
    maps = SmoothGradCamPlusPlus(samples=5, std=0.7, seed=3)(view)
    torch.testing.assert_close(maps, expected)


def test_score_cam_channel_by_channel():
    """The same in a loop, one masked image at a time."""
    model, images = lively("test_resnet"), pictures(2, 40, 48)
    view = Viewer(model, "layer1")(images)
    maps = cams.get("score-cam")()(view)
    for image, features, got in zip(images, view.features, maps, strict=True):
        scores = []
        for channel in features:
            up = F.interpolate(channel[None, None], size=(40, 48), mode="bilinear")
            mask = (up - up.min()) / (up.max() - up.min()).clamp(min=1e-9)
            scores.append(model(image * mask)[0].detach())
        weights = torch.stack(scores).softmax(0)
        expected = torch.einsum("kc,khw->chw", weights, features)
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)


class Tiny(nn.Module):
    """Two convolutions, one with a bias and one with a norm, and a ReLU: piecewise linear."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.norm.running_mean.normal_()
        self.norm.bias.data.normal_()
        self.fc = nn.Linear(4, 2, bias=False)

    def get_classifier(self):
        return self.fc

    def forward_features(self, images):
        return self.norm(self.second(self.first(images).relu_())).relu_()

    def forward_head(self, features):
        return self.fc(features.mean((2, 3)))

    def forward(self, images):
        return self.forward_head(self.forward_features(images))


def test_full_gradients_add_up_to_the_logits():
    """The identity that gives FullGrad its name: input and biases account for all of the logit."""
    model, images = Tiny().eval(), pictures(2, 8, 12)
    split = full_gradients(model, images)
    parts = [[part.sum((1, 2, 3)) for part in split(c)] for c in range(2)]
    assert len(parts[0]) == 3  # the image, the bias of the first layer, that of the norm
    total = torch.stack([torch.stack(c).sum(0) for c in parts], dim=1)
    torch.testing.assert_close(total, model(images).detach())


def test_full_gradients_see_the_biases_of_timms_norms_with_activation():
    model, images = lively("densenet121", **SMALL_DENSENET), pictures()
    nn.init.zeros_(model.classifier.bias)
    split = full_gradients(model, images)
    parts = [[part.sum((1, 2, 3)) for part in split(c)] for c in range(4)]
    total = torch.stack([torch.stack(c).sum(0) for c in parts], dim=1)
    torch.testing.assert_close(total, model(images).detach(), rtol=1e-3, atol=1e-3)


def test_fullgrad_stretches_and_adds_contributions():
    model, images = Tiny().eval(), pictures(2, 8, 12)
    maps = cams.get("fullgrad")()(Viewer(model)(images))
    assert maps.shape == (2, 2, 8, 12)
    split = full_gradients(model, images)
    for c in range(2):
        for b in range(2):
            expected = torch.zeros(8, 12)
            for part in split(c):
                z = part[b].abs()
                z = (z - z.min()) / (z.max() - z.min())
                expected += F.interpolate(z[None], size=(8, 12), mode="bilinear")[0].sum(0)
            torch.testing.assert_close(maps[b, c], expected, rtol=1e-4, atol=1e-4)


def test_opti_cam_finds_the_channel_that_keeps_the_class():
    """Class 0 likes the left of the image, and only channel 0 is strong there."""

    class LeftOrRight(GivenFeatures):
        def forward_features(self, images):
            left = images[:, :1] * torch.tensor([1.0, 1.0, 0.0, 0.0])
            return torch.cat((left, images[:, :1] - left), dim=1)

    images = torch.ones(1, 3, 2, 4)
    view = Viewer(LeftOrRight([[1.0, -1.0], [-1.0, 1.0]]))(images)
    maps = OptiCam(steps=30)(view)
    for c, (strong, weak) in enumerate([((0, 1), (2, 3)), ((2, 3), (0, 1))]):
        assert maps[0, c, :, strong].min() > 0.6
        assert maps[0, c, :, weak].max() < 0.4


def test_opti_cam_maximises_the_masked_logit():
    model, images = lively("test_resnet"), pictures(1)

    def masked_logits(maps):
        up = F.interpolate(maps, size=images.shape[2:], mode="bilinear")
        low, high = up.amin((2, 3), keepdim=True), up.amax((2, 3), keepdim=True)
        masks = (up - low) / (high - low)
        return torch.stack([model(images * masks[:, c : c + 1])[0, c] for c in range(4)])

    view = Viewer(model, "layer2")(images)
    start, end = OptiCam(steps=0)(view), OptiCam(steps=15)(view)
    torch.testing.assert_close(start[0, 0], view.features[0].relu().mean(0))
    assert (masked_logits(end) > masked_logits(start)).all()
