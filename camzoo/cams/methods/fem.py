"""FEM: rare, strong answers of strong channels."""

from __future__ import annotations

from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
from camzoo.core.ranges import Real


@register_cam("fem")
class Fem(CamMethod):
    """sum_k mean(A_k) * [A_k >= mean(A_k) + k std(A_k)].

    Args:
        sigmas: How many standard deviations k above its mean an answer has to be.
    """

    paper = "Fuad et al., IPTA 2020"
    cost = "nothing"
    class_specific = False

    def __init__(self, sigmas: float = 2.0) -> None:
        Real(0, 100).require("fem: sigmas", sigmas)
        self.sigmas = sigmas

    def saliency(self, view: FeatureView) -> Tensor:
        """Return one map per image, the same for all classes."""
        features = view.features
        means = features.mean((2, 3), keepdim=True)
        stds = features.std((2, 3), correction=0, keepdim=True)
        # A constant channel answers nowhere, though every place reaches its threshold.
        strong = (features >= means + self.sigmas * stds) & (stds > 0)
        maps = (means * strong).sum(1, keepdim=True)
        return maps.expand(-1, view.logits.shape[1], -1, -1)
