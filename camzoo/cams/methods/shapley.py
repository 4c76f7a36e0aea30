"""ShapleyCAM: Grad-CAM corrected for the curvature of the logit."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.weighting import total, weighted_sum
from camzoo.network.isolation import grad_mode


@register_cam("shapley-cam")
class ShapleyCam(CamMethod):
    """w_ck = sum_ij (g - H A / 2)_ckij, with H the Hessian of the logit in the features.

    The second-order estimate of the Shapley value of a channel. In closed form H = 0 and the map is
    Grad-CAM's. Class tokens are held fixed and are no players.
    """

    paper = "Cai, arXiv 2501.06261"
    cost = "1 backward and 1 double backward per class; none in closed form"

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the weighted sum of the features."""
        values = view.gradients(compact=True)
        if not view.closed_form:
            values = values - _hessian_times_features(view) / 2
        return weighted_sum(total(values, view.features), view.features)


def _hessian_times_features(view: FeatureView) -> Tensor:
    """Return H_c A for every class, [B, C, K, h, w]."""
    products = []
    # Of the attention kernels only the plain one can be differentiated twice.
    with grad_mode(enabled=True), sdpa_kernel(SDPBackend.MATH):
        features = view.features.detach().requires_grad_()
        logits = view.head(features)
        for c in range(logits.shape[1]):
            (gradient,) = torch.autograd.grad(logits[:, c].sum(), features, create_graph=True)
            along = (gradient * view.features).sum()
            products.append(_derivative(along, features))
    return torch.stack(products, dim=1)


def _derivative(value: Tensor, features: Tensor) -> Tensor:
    """Differentiate once more; a value that does not depend on the features any more gives zero."""
    if not value.requires_grad:
        return torch.zeros_like(features)
    (product,) = torch.autograd.grad(value, features, retain_graph=True, allow_unused=True)
    return torch.zeros_like(features) if product is None else product.detach()
