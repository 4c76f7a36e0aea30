"""Methods that weigh the features by the gradient of the logit.

Throughout, A [B, K, h, w] are the features and g = dy_c/dA [B, C, K, h, w] the gradients of the
logits. All follow from one set of gradients, which the view shares. The outer ReLU of the papers is
the pipeline's.

The gradient of a logit that is pooled falls with the number of places h w. Means over places and
gradients are therefore multiplied by h w. That changes no map once it is normalised, but it keeps
the maps of one image at several sizes on one scale, so that they can be summed. In closed form
Grad-CAM is then CAM itself and not just proportional to it.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.weighting import mass, total, weighted_sum


class GradientCam(CamMethod):
    """sum_k w_ck A_k with weights made of gradients and features."""

    cost = "1 backward per class, from the logits to the layer; none in closed form"

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the weighted sum of the features."""
        gradients = view.gradients(compact=True)
        return weighted_sum(self.weights(gradients, view.features), view.features)

    @abstractmethod
    def weights(self, gradients: Tensor, features: Tensor) -> Tensor:
        """Return weights [B or 1, C, K, h or 1, w or 1] from compact gradients and features."""


@register_cam("grad-cam")
class GradCam(GradientCam):
    """w_ck = sum_ij g_ckij, which is h w times the mean of the paper."""

    paper = "Selvaraju et al., ICCV 2017, eq. 1 and 2"

    def weights(self, gradients: Tensor, features: Tensor) -> Tensor:
        """Return the sum of the gradients of each channel."""
        return total(gradients, features)


@register_cam("hires-cam")
class HiResCam(GradientCam):
    """w_ckij = h w g_ckij: gradient times feature, place by place."""

    paper = "Draelos and Carin, arXiv 2011.08891"

    def weights(self, gradients: Tensor, features: Tensor) -> Tensor:
        """Return the gradients themselves, times h w."""
        return gradients * features[0, 0].numel()


@register_cam("layer-cam")
class LayerCam(GradientCam):
    """w_ckij = h w ReLU(g_ckij): only places whose features speak for the class."""

    paper = "Jiang et al., TIP 2021"

    def weights(self, gradients: Tensor, features: Tensor) -> Tensor:
        """Return the positive part of the gradients, times h w."""
        return gradients.relu() * features[0, 0].numel()


@register_cam("xgrad-cam")
class XGradCam(GradientCam):
    """w_ck = h w sum_ij g_ckij A_kij / sum_ij A_kij; a channel without mass has no weight."""

    paper = "Fu et al., BMVC 2020"

    def weights(self, gradients: Tensor, features: Tensor) -> Tensor:
        """Return the mean gradient of each channel, weighted by the feature, times h w."""
        means = features.mean((2, 3))[:, None, :, None, None]
        return torch.where(means == 0, 0, mass(gradients, features) / means)


@register_cam("grad-cam++")
class GradCamPlusPlus(GradientCam):
    """w_ck = sum_ij a_ckij ReLU(g_ckij), with a = g^2 / (2 g^2 + S_k g^3) and S_k = sum_ab A_kab.

    These are the derivatives of eq. 19 for the score exp(y_c), whose common factor exp(y_c) > 0 is
    left out. Dividing by g^2 gives a = 1 / (2 + S_k g), so that no epsilon is needed however small
    the gradients are; where they are zero, so is the weight.
    """

    paper = "Chattopadhay et al., WACV 2018, eq. 19"

    def weights(self, gradients: Tensor, features: Tensor) -> Tensor:
        """Return the sum of positive gradients, each with its coefficient."""
        masses = features.sum((2, 3))[:, None, :, None, None]
        return total(gradients.relu() / (2 + masses * gradients), features)
