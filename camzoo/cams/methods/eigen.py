"""Methods that show the first principal component of the features, place by place.

A component has no sign of its own: linear algebra libraries return either. It is fixed here by a
rule, so that larger means more evidence on every machine.
"""

from __future__ import annotations

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
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
        maps = []
        for gradient in view.gradients(compact=True).unbind(1):
            evidence = gradient * view.features * view.features[0, 0].numel()
            maps.append(orient(first_component(evidence), evidence.sum(1)))
        return torch.stack(maps, dim=1)


@register_cam("seg-eigen-cam")
class SegEigenCam(CamMethod):
    """First component of h w |gradient| x feature; the side with the larger extreme is positive."""

    paper = "Chung and Ying, Applied Sciences 2025, eq. 10 to 13"
    cost = "1 backward and 1 eigenvector per class"

    def saliency(self, view: FeatureView) -> Tensor:
        """Return one map per image and class."""
        places = view.features[0, 0].numel()
        maps = [
            towards_larger_extreme(first_component(gradient.abs() * view.features * places))
            for gradient in view.gradients(compact=True).unbind(1)
        ]
        return torch.stack(maps, dim=1)


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
        places = _centred(view.features).double()
        kernel = torch.tanh(places.transpose(1, 2) @ places / places.shape[1] + self.offset)
        kernel = kernel - kernel.mean(1, keepdim=True)
        kernel = kernel - kernel.mean(2, keepdim=True)
        values, vectors = torch.linalg.eigh(kernel)
        component = vectors[..., -1] * values[:, -1:].clamp(min=0).sqrt()
        component = component.float().view(-1, *view.features.shape[2:])
        oriented = orient(component, view.features.abs().mean(1))
        return oriented[:, None].expand(-1, view.logits.shape[1], -1, -1)


def first_component(features: Tensor) -> Tensor:
    """Return the projection [B, h, w] of features [B, K, h, w] on their first axis, sign open.

    From the eigenvector of the smaller of the two Gram matrices, in double precision; this is the
    first left singular vector, times its singular value, of the centred (h w) x K matrix.
    """
    places = _centred(features).double()
    if places.shape[1] < places.shape[2]:
        axis = torch.linalg.eigh(places @ places.transpose(1, 2)).eigenvectors[..., -1:]
        component = (places.transpose(1, 2) @ axis)[..., 0]
    else:
        values, vectors = torch.linalg.eigh(places.transpose(1, 2) @ places)
        component = vectors[..., -1] * values[:, -1:].clamp(min=0).sqrt()
    maps: Tensor = component.float().view(-1, *features.shape[2:])
    return maps


def orient(maps: Tensor, reference: Tensor) -> Tensor:
    """Flip maps [B, h, w] that are negatively correlated with a reference of the same shape."""
    a, b = maps.flatten(1), reference.flatten(1)
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    correlation = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-30)
    flipped = torch.where((correlation < 0)[:, None, None], -maps, maps)
    undecided = (correlation.abs() < 1e-6)[:, None, None]
    return torch.where(undecided, towards_larger_extreme(maps), flipped)


def towards_larger_extreme(maps: Tensor) -> Tensor:
    """Flip maps [B, h, w] whose minimum is further from zero than their maximum."""
    extremes = maps.amax((1, 2)) + maps.amin((1, 2))
    return torch.where((extremes < 0)[:, None, None], -maps, maps)


def _centred(features: Tensor) -> Tensor:
    """Flatten the places, [B, K, h w], and centre each channel over them."""
    places = features.flatten(2)
    return places - places.mean(2, keepdim=True)
