"""Methods that make one map of those of several stages of the network.

Earlier stages are fine and noisy, later ones coarse and sure. The map of each stage is rectified,
enlarged to the grid of the image and stretched to [0, 1], as the authors of both methods take them
from pytorch-grad-cam. Stages are timm's, counted from the last one; maps do not depend on the
target layer.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.cams.base import CamMethod, register_cam
from camzoo.cams.methods.gradient import GradCam, GradCamPlusPlus, GradientCam
from camzoo.cams.methods.score_cam import to_unit
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.view.targets import stage_layers
from camzoo.core.ranges import Whole


class StageCam(CamMethod):
    """Maps of the last stages, made one.

    Args:
        stages: How many of them.
    """

    cost = "1 forward, and 1 backward per class from the logits to the first of the stages"
    #: What reads the map of a stage.
    base: ClassVar[type[GradientCam]]

    def __init__(self, stages: int = 4) -> None:
        Whole(2, 1000).require(f"{self.name}: stages", stages)
        self.stages = stages

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the fused maps, [B, C, H, W].

        Raises:
            ConfigError: The network has no such stages.
        """
        layers = view.at(stage_layers(view.viewer.model, self.stages))
        maps = [self.base().saliency(layer).relu() for layer in layers]
        # Class by class: on the grid of the image all of them would take gigabytes.
        each = zip(*(coarse.split(1, dim=1) for coarse in maps), strict=True)
        return torch.cat([self.fuse(_enlarged(of_class, view.images)) for of_class in each], dim=1)

    @abstractmethod
    def fuse(self, maps: Tensor) -> Tensor:
        """Return one map [...] of those of M stages, [M, ...], all on [0, 1]."""


@register_cam("um-cam")
class UmCam(StageCam):
    """sum_m w_m M_m over stages, w_m = softmax over m of -H(M_m), H the binary entropy of a place.

    M_m is Grad-CAM at the end of stage m on [0, 1], read as a probability.

    What differs from the paper:

    - Maps alone: neither their expansion along geodesic distances nor the training on random views.
    - Stages of the run's network, the last four unless said otherwise; the paper has a VGG-16.
    """

    paper = "Fu et al., MICCAI 2023, as in the authors' code"
    base = GradCam

    def fuse(self, maps: Tensor) -> Tensor:
        """Return the mean of the maps, each place weighed by how sure it is."""
        entropy = -(torch.xlogy(maps, maps) + torch.xlogy(1 - maps, 1 - maps))
        return ((-entropy).softmax(dim=0) * maps).sum(dim=0)


@register_cam("refine-cam")
class RefineCam(StageCam):
    """prod_m M_m over stages, with M_m Grad-CAM++ at the end of stage m on [0, 1]."""

    paper = "How to Evaluate and Refine your CAM, arXiv 2605.14641, on Grad-CAM++"
    base = GradCamPlusPlus

    def fuse(self, maps: Tensor) -> Tensor:
        """Return the product of the maps."""
        return maps.prod(dim=0)


def _enlarged(maps: tuple[Tensor, ...], images: Tensor) -> Tensor:
    """Bring maps [B, 1, h, w] of stages to the grid of images and [0, 1]: [M, B, 1, H, W]."""
    size = images.shape[2:]
    return torch.stack([to_unit(F.interpolate(m, size=size, mode="bilinear")) for m in maps])
