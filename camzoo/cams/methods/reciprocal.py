"""Recipro-CAM: what the head says of one place alone."""

from __future__ import annotations

import torch
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.view.feature_view import CHUNK, FeatureView


@register_cam("reciprocal-cam")
class ReciprocalCam(CamMethod):
    """M_cij = h w (y_c(A at ij only, zero elsewhere) - y_c(zero everywhere)).

    Those of empty features are subtracted so that zero means no evidence. The factor h w keeps
    images of several sizes on one scale; in closed form the map is CAM.

    What differs from the paper:

    - Logits in the place of their softmax, which means nothing for classes that may occur together
      and is constant for one class.
    """

    paper = "Byun and Lee, CVPR workshops 2024, on logits"
    cost = "1 head per place, all classes at once; none in closed form"

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the logits of each place."""
        batch, channels, height, width = view.features.shape
        if view.closed_form and view.class_weights is not None:
            maps = view.class_weights @ view.features.flatten(2)
            return maps.view(batch, -1, height, width)
        empty = view.head(torch.zeros_like(view.features))
        alone = view.logits.new_empty(batch * height * width, view.logits.shape[1])
        rows, places = torch.arange(len(alone), device=alone.device), height * width
        for part in rows.split(max(1, CHUNK // view.features[0].numel())):
            image, place = part // places, part % places
            single = view.features.new_zeros(len(part), channels, places)
            index = torch.arange(len(part), device=part.device)
            single[index, :, place] = view.features.flatten(2)[image, :, place]
            alone[part] = view.head(single.unflatten(2, (height, width)), image)
        maps = alone.view(batch, height, width, -1).permute(0, 3, 1, 2)
        return (maps - empty[:, :, None, None]) * places
