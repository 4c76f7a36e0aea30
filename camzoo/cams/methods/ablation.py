"""Ablation-CAM: a channel weighs what the logit loses without it."""

from __future__ import annotations

from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.weighting import weighted_sum


@register_cam("ablation-cam")
class AblationCam(CamMethod):
    """w_ck = y_c - y_c without channel k (set to zero).

    What differs from the paper:

    - No division by y_c. It only scales the map while y_c > 0, but turns it upside down when
      y_c < 0 and blows it up near zero.
    """

    paper = "Desai and Ramaswamy, WACV 2020, without the division"
    cost = "1 head per channel, all classes at once; none in closed form"

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the weighted sum of the features."""
        drop = view.logits[:, None] - view.ablated_logits()
        return weighted_sum(drop.transpose(1, 2)[..., None, None], view.features)
