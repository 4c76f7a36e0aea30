"""Score-CAM: a channel weighs what the network says of the image seen through it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.weighting import weighted_sum

#: How many numbers a batch of masked images may hold at once.
_CHUNK = 16 * 3 * 224 * 224


@register_cam("score-cam")
class ScoreCam(CamMethod):
    """w_ck = softmax over k of y_c(image * unit(up(A_k))), with unit() onto [0, 1].

    The paper subtracts the score of a baseline, which the softmax over channels cancels.

    What differs from the paper:

    - Masks multiply the normalised image: what is masked becomes the mean colour.
    """

    paper = "Wang et al., CVPR workshops 2020, algorithm 1"
    cost = "1 forward per channel, all classes at once"

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the weighted sum of the features."""
        weights = torch.stack([_scores(view, i) for i in range(len(view.images))])
        weights = weights.softmax(dim=1).transpose(1, 2)
        return weighted_sum(weights[..., None, None], view.features)


def _scores(view: FeatureView, index: int) -> Tensor:
    """Return the logits [K, C] of one image seen through each of its channels."""
    image = view.images[index]
    scores = []
    for channels in view.features[index].split(max(1, _CHUNK // image.numel())):
        up = F.interpolate(channels[:, None], size=image.shape[1:], mode="bilinear")
        scores.append(view.classify((image * to_unit(up)).to(image)))
    return torch.cat(scores)


def to_unit(maps: Tensor) -> Tensor:
    """Stretch each map [N, 1, H, W] to [0, 1]; a constant one becomes zero."""
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    return (maps - low) / (high - low + 1e-8)
