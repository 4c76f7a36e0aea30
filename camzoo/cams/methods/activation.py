"""CAM: the features weighted by the classifier."""

from __future__ import annotations

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
from camzoo.core.errors import ConfigError


@register_cam("cam")
class Cam(CamMethod):
    """M_c = sum_k w_ck A_k, with the weights of the linear classifier behind the pooling."""

    paper = "Zhou et al., CVPR 2016, eq. 2"
    cost = "nothing"

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the weighted sum of the features.

        Raises:
            ConfigError: No linear classifier weighs these features.
        """
        if view.class_weights is None:
            raise ConfigError(
                "cam needs features that are averaged and weighed by one linear layer; tried out, "
                f"{type(view.viewer.model).__name__} does something else with those of this layer; "
                "use grad-cam, which generalises it"
            )
        return torch.einsum("ck,bkhw->bchw", view.class_weights, view.features)
