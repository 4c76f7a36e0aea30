"""Methods that weigh the features by the gradient of the logit.

Throughout, A [B, K, h, w] are the features and g = dy_c/dA [B, C, K, h, w] the gradients of the
logits. All follow from one set of gradients, which the view shares. The outer ReLU of the papers is
the pipeline's.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view import FeatureView
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
    """w_ck = mean_ij g_ckij."""

    paper = "Selvaraju et al., ICCV 2017, eq. 1 and 2"

    def weights(self, gradients: Tensor, features: Tensor) -> Tensor:
        """Return the mean gradient of each channel."""
        return total(gradients, features) / features[0, 0].numel()


@register_cam("hires-cam")
class HiResCam(GradientCam):
    """w_ckij = g_ckij: gradient times feature, place by place."""

    paper = "Draelos and Carin, arXiv 2011.08891"

    def weights(self, gradients: Tensor, features: Tensor) -> Tensor:  # noqa: ARG002
        """Return the gradients themselves."""
        return gradients


@register_cam("layer-cam")
class LayerCam(GradientCam):
    """w_ckij = ReLU(g_ckij): only places whose features speak for the class."""

    paper = "Jiang et al., TIP 2021"

    def weights(self, gradients: Tensor, features: Tensor) -> Tensor:  # noqa: ARG002
        """Return the positive part of the gradients."""
        return gradients.relu()


@register_cam("xgrad-cam")
class XGradCam(GradientCam):
    """w_ck = sum_ij g_ckij A_kij / sum_ij A_kij; a channel without mass has no weight."""

    paper = "Fu et al., BMVC 2020"

    def weights(self, gradients: Tensor, features: Tensor) -> Tensor:
        """Return the mean gradient of each channel, weighted by the feature."""
        masses = features.sum((2, 3))[:, None, :, None, None]
        return torch.where(masses == 0, 0, mass(gradients, features) / masses)


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
