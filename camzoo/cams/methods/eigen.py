"""Methods that show the first principal component of the features, place by place.

A component has no sign of its own: linear algebra libraries return either. It is fixed here by a
rule, so that larger means more evidence on every machine.
"""

from __future__ import annotations

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.leading import Grams, Kernels, leading
from camzoo.cams.view.feature_view import CHUNK, FeatureView
from camzoo.cams.weighting import weighted_sum
from camzoo.core.ranges import Real


@register_cam("eigen-cam")
class EigenCam(CamMethod):
    """Projection of the centred features on their first principal axis.

    The sign is that of the correlation with the mean |activation| over channels; without any, the
    side with the larger extreme is positive.
    """

    paper = "Muhammad and Yeasin, IJCNN 2020"
    cost = "1 eigenvector of an (h w) x (h w) matrix"
    class_specific = False

    def saliency(self, view: FeatureView) -> Tensor:
        """Return one map per image, the same for all classes."""
        component = first_component(view.features)
        oriented = orient(component, view.features.abs().mean(1))
        return oriented[:, None].expand(-1, view.logits.shape[1], -1, -1)


@register_cam("eigen-grad-cam")
class EigenGradCam(CamMethod):
    """First component of h w gradient x feature, class by class.

    The sign is that of the correlation with the sum of gradient x feature over channels, which is
    the evidence for the class; without any, the side with the larger extreme is positive.
    """

    paper = "Muhammad and Yeasin, IJCNN 2020, on the gradient x feature of pytorch-grad-cam"
    cost = "1 backward and 1 eigenvector per class"

    def saliency(self, view: FeatureView) -> Tensor:
        """Return one map per image and class."""
        gradients = view.gradients(compact=True)
        evidence = weighted_sum(gradients, view.features)
        return orient(first_components(view.features, gradients), evidence)


@register_cam("seg-eigen-cam")
class SegEigenCam(CamMethod):
    """First component of h w |gradient| x feature; the side with the larger extreme is positive."""

    paper = "Chung and Ying, Applied Sciences 2025, eq. 10 to 13"
    cost = "1 backward and 1 eigenvector per class"

    def saliency(self, view: FeatureView) -> Tensor:
        """Return one map per image and class."""
        return towards_larger_extreme(
            first_components(view.features, view.gradients(compact=True).abs())
        )


@register_cam("kpca-cam")
class KpcaCam(CamMethod):
    """First component of the features under the sigmoid kernel tanh(x . y / K + 1).

    The sign follows the rule of Eigen-CAM.

    Args:
        offset: What the kernel adds to the product, 1 above.
    """

    paper = "Karmani et al., arXiv 2410.00267"
    cost = "1 eigenvector of an (h w) x (h w) matrix"
    class_specific = False

    def __init__(self, offset: float = 1.0) -> None:
        Real(-100, 100).require("kpca-cam: offset", offset)
        self.offset = offset

    def saliency(self, view: FeatureView) -> Tensor:
        """Return one map per image, the same for all classes."""
        places = _centred(view.features)
        kernel = torch.tanh(places.mT @ places / places.shape[1] + self.offset)
        kernel = kernel - kernel.mean(1, keepdim=True)
        kernel = kernel - kernel.mean(2, keepdim=True)
        component = leading(Kernels(kernel)).float().view_as(view.features[:, 0])
        oriented = orient(component, view.features.abs().mean(1))
        return oriented[:, None].expand(-1, view.logits.shape[1], -1, -1)


def first_component(features: Tensor) -> Tensor:
    """Return the projection [B, h, w] of features [B, K, h, w] on their first axis, sign open.

    In double precision: this is the first left singular vector, times its singular value, of the
    centred (h w) x K matrix.
    """
    ones = features.new_ones(len(features), 1, features.shape[1], dtype=torch.double)
    maps = leading(Grams(_centred(features), ones))
    return maps.float().view_as(features[:, 0])


def first_components(features: Tensor, gradients: Tensor) -> Tensor:
    """Return the first components [B, C, h, w] of h w gradient x feature, class by class.

    Args:
        features: [B, K, h, w].
        gradients: Those of the logits, compact, [B or 1, C, K, h or 1, w or 1].
    """
    scaled = gradients * features[0, 0].numel()
    if scaled.shape[3:] == (1, 1):  # the classes weigh the same centred channels
        weights = scaled[..., 0, 0].double().expand(len(features), -1, -1)
        maps = leading(Grams(_centred(features), weights))
        return maps.float().view(*maps.shape[:2], *features.shape[2:])
    parts = []
    for some in scaled.split(max(1, CHUNK // features.numel()), dim=1):
        evidence = some * features[:, None]
        parts.append(first_component(evidence.flatten(0, 1)).unflatten(0, evidence.shape[:2]))
    return torch.cat(parts, dim=1)


def orient(maps: Tensor, reference: Tensor) -> Tensor:
    """Flip maps [..., h, w] that are negatively correlated with a reference of the same shape."""
    a, b = maps.flatten(-2), reference.flatten(-2)
    a, b = a - a.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True)
    correlation = (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1)).clamp(min=1e-30)
    flipped = torch.where((correlation < 0)[..., None, None], -maps, maps)
    undecided = (correlation.abs() < 1e-6)[..., None, None]
    return torch.where(undecided, towards_larger_extreme(maps), flipped)


def towards_larger_extreme(maps: Tensor) -> Tensor:
    """Flip maps [..., h, w] whose minimum is further from zero than their maximum."""
    extremes = maps.amax((-2, -1)) + maps.amin((-2, -1))
    return torch.where((extremes < 0)[..., None, None], -maps, maps)


def _centred(features: Tensor) -> Tensor:
    """Flatten the places, [B, K, h w], and centre each channel over them, in double precision.

    So that what is constant is zero then, and not what rounding makes of it.
    """
    places = features.flatten(2).to(torch.double, copy=True)
    return places.sub_(places.mean(2, keepdim=True))
