"""Maps equal those of pytorch-grad-cam and torch-cam, wherever these implement the same formula.

On images that are not square, in batches, for several classes, after the same normalisation (each
map stretched to [0, 1]). Where a peer departs from the paper, the departure itself is tested, so
that the documentation of it stays true.
"""

from functools import cache

import pytest
import torch
import torchcam.methods as torchcam

from camzoo.cams.methods.eigen import orient
from camzoo.cams.view.viewer import Viewer
from camzoo.registries import cams
from tests.cams.networks import SMALL_DENSENET, SMALL_RESNET, lively, pictures, unit

CLASSES = 3
#: Network, its options, target layer, and the name torch-cam needs for what None means.
NETWORKS = {
    "resnet18": ({}, None, "layer4"),
    "resnet18, layer before the last": ({}, "layer3", "layer3"),
    "densenet121": ({}, None, "features"),
    "mobilenetv2_100": ({}, None, "bn2"),
    "convnext_atto": ({}, None, "stages"),
    "test_vit": ({"img_size": (64, 96)}, None, "blocks.5.norm1"),
}
GRADCAM = {
    "grad-cam": "GradCAM",
    "hires-cam": "HiResCAM",
    "layer-cam": "LayerCAM",
    "xgrad-cam": "XGradCAM",
    "grad-cam++": "GradCAMPlusPlus",
    "eigen-cam": "EigenCAM",
    "eigen-grad-cam": "EigenGradCAM",
    "seg-eigen-cam": "SegEigenCAM",
    "kpca-cam": "KPCA_CAM",
    "shapley-cam": "ShapleyCAM",
}
TORCHCAM = {
    "cam": "CAM",
    "grad-cam": "GradCAM",
    "layer-cam": "LayerCAM",
    "xgrad-cam": "XGradCAM",
    "finer-cam": "FinerCAM",
}
CLOSED_FORM = ["resnet18", "densenet121", "mobilenetv2_100"]


@cache
def network(name, strength=1.0):
    options, layer, torchcam_layer = NETWORKS[name]
    model = lively(name.split(",")[0], CLASSES, **options)
    weight = model.get_classifier().weight.data
    weight.sub_(weight.mean(0)).mul_(strength)  # so that some class is positive at every place
    return model, layer, torchcam_layer


def view_of(name, strength=1.0):
    model, layer, _ = network(name, strength)
    return Viewer(model, layer)(pictures(2))


def with_torchcam(view, name, cls, **options):
    """torch-cam's raw maps [B, C, h, w], from one forward pass."""
    _, _, layer = network(name)
    model = view.viewer.model
    if view.layout.kind == "tokens":
        options["reshape_transform"] = view.layout.to_map
    if cls == "CAM":
        options["fc_layer"] = model.get_classifier()
    images = view.images.clone().requires_grad_()
    with getattr(torchcam, cls)(model, layer, **options) as extractor:
        scores = model(images)
        more = {"scores": scores, "retain_graph": True} if cls not in {"CAM"} else {}
        return torch.stack(
            [extractor(class_idx=c, normalized=False, **more)[0].detach() for c in range(CLASSES)],
            dim=1,
        )


def gap(maps, others):
    """Largest difference after stretching, over the peer's maps that are not constant."""
    some = others.amax((2, 3)) > others.amin((2, 3))
    assert some.float().mean() > 0.5
    return float((unit(maps) - unit(others))[some].abs().max())


def same_sign(maps, reference):
    """Orient maps like a reference: principal components have no sign of their own."""
    flat, shape = maps.flatten(0, 1), maps.shape
    return orient(flat, reference.expand(shape).flatten(0, 1)).view(shape)


@pytest.mark.parametrize("method", GRADCAM)
@pytest.mark.parametrize("name", NETWORKS)
def test_equal_to_pytorch_grad_cam(name, method):
    if method == "shapley-cam" and name == "test_vit":
        pytest.skip("pytorch-grad-cam's ShapleyCAM does not reshape tokens and stops")
    # A steep classifier makes gradients large beside the library's epsilon of 1e-6.
    view = view_of(name, strength=1e6 if method == "grad-cam++" else 1.0)
    ours = cams.get(method)()(view)
    theirs = cams.get(f"gradcam:{GRADCAM[method]}")()(view)
    if method in {"eigen-cam", "eigen-grad-cam", "kpca-cam"}:
        theirs = same_sign(theirs, ours)
    assert gap(ours, theirs) < 1e-4


@pytest.mark.parametrize("method", TORCHCAM)
@pytest.mark.parametrize("name", NETWORKS)
def test_equal_to_torch_cam(name, method):
    if method == "cam" and name not in [*CLOSED_FORM, "convnext_atto"]:
        pytest.skip("no linear classifier weighs the features of this layer")
    view = view_of(name)
    ours = cams.get(method)()(view)
    theirs = with_torchcam(view, name, TORCHCAM[method])
    assert gap(ours if method == "cam" else ours.relu(), theirs) < 1e-4


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_smooth_grad_cam_equals_torch_cams_without_noise(name):
    """With noise torch-cam weighs the features of the last noisy copy, by its gradients."""
    view = view_of(name, strength=1e3)  # large beside an epsilon of 1e-8
    theirs = with_torchcam(view, name, "SmoothGradCAMpp", num_samples=2, std=1e-7)
    assert gap(cams.get("smooth-grad-cam++")()(view).relu(), theirs) < 1e-4


@pytest.mark.parametrize(
    ("name", "options", "layer"),
    [
        ("test_resnet", SMALL_RESNET, None),
        ("test_resnet", SMALL_RESNET, "layer3"),
        ("densenet121", SMALL_DENSENET, None),
        ("densenet121", SMALL_DENSENET, "features.transition2.norm"),
    ],
)
def test_ablation_cam_equals_pytorch_grad_cams_times_the_sign_of_the_logit(name, options, layer):
    """The library divides by the logit, which turns maps of negative logits upside down."""
    model = lively(name, CLASSES, **options)
    model.get_classifier().weight.data[0] *= -1
    view = Viewer(model, layer)(pictures(2))
    ours = cams.get("ablation-cam")()(view)
    theirs = cams.get("gradcam:AblationCAM")()(view)
    assert (view.logits < 0).any()
    assert gap(ours, theirs * view.logits[:, :, None, None].sign()) < 1e-4


def test_ablation_in_pytorch_grad_cam_runs_away_where_features_can_be_negative():
    """It ablates to the minimum minus 1e7 instead of zero, cumulatively: no ablation at all."""
    view = Viewer(lively("test_convnext", CLASSES))(pictures(2))
    assert view.features.min() < 0
    theirs = cams.get("gradcam:AblationCAM")()(view)
    assert gap(cams.get("ablation-cam")()(view), theirs) > 0.1


def test_torch_cams_grad_cam_plus_plus_never_divides():
    """Its weights are sum g^2 ReLU(g): the division is made on a copy that is thrown away."""
    view = view_of("resnet18", strength=1e3)
    theirs = with_torchcam(view, "resnet18", "GradCAMpp")
    g = view.gradients()
    undivided = torch.einsum("bckij,bkxy->bcxy", g**2 * g.relu(), view.features)
    assert gap(theirs, undivided) < 1e-4
    assert gap(theirs, cams.get("grad-cam++")()(view)) > 1e-3


def test_pytorch_grad_cams_grad_cam_plus_plus_drowns_small_gradients():
    """Its epsilon of 1e-6 outweighs g^2 where gradients are small, as on large feature maps."""
    view = view_of("resnet18", strength=1e-3)
    theirs = cams.get("gradcam:GradCAMPlusPlus")()(view)
    assert gap(theirs, cams.get("grad-cam++")()(view)) > 1e-3


def test_pytorch_grad_cams_fem_is_another_formula():
    """It weighs features by how often they are strong, the paper where they are by their mean."""
    view = view_of("resnet18, layer before the last")
    features = view.features
    mean = features.mean((2, 3), keepdim=True)
    std = features.std((2, 3), correction=0, keepdim=True)
    share = (features > mean + 2 * std).float().mean((2, 3), keepdim=True)
    theirs = cams.get("gradcam:FEM")()(view)
    assert gap(theirs, (share * features).sum(1, keepdim=True).expand_as(theirs)) < 1e-4


def test_score_cam_agrees_but_for_how_masks_are_resized():
    """pytorch-grad-cam aligns corners, torch-cam stretches before resizing; the paper after."""
    view = Viewer(lively("test_resnet", CLASSES, **SMALL_RESNET), "layer2")(pictures(2))
    view.viewer.model.get_classifier().weight.data *= 0.1
    ours = cams.get("score-cam")()(view)
    theirs = cams.get("gradcam:ScoreCAM")()(view)
    assert gap(ours, theirs) < 0.02
