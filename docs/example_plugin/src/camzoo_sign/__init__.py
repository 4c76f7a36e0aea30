"""Sign-CAM: channels vote for or against a class, all with the same weight."""

from torch import Tensor

from camzoo import CamMethod, FeatureView, register_cam, weighting


@register_cam("sign-cam")
class SignCam(CamMethod):
    """w_ck = sign(sum_ij g_ckij): Grad-CAM that keeps only the signs of its weights."""

    paper = "an example"
    cost = "1 backward per class; none in closed form"

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the weighted sum of the features, [B, C, h, w]."""
        weights = weighting.total(view.gradients(compact=True), view.features).sign()
        return weighting.weighted_sum(weights, view.features)
