"""IRNet's boundary network: edges of regions, read off the stages of a frozen trunk."""

from __future__ import annotations

import copy
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from camzoo.config import Precision
from camzoo.core.randomness import seeded
from camzoo.network.backbone import Classifier, Trainable
from camzoo.network.precision import autocast
from camzoo.network.trunk_levels import run_stages, stage_channels

#: Pixels of the image per pixel of the edge map, along each side.
STRIDE: Final = 4
_WIDTH, _GROUPS = 32, 4


class BoundaryNet(Trainable):
    """Logits of edges at a quarter of the resolution (Ahn et al., CVPR 2019, §4, edge branch).

    Each stage of the trunk goes through a 1 x 1 convolution to 32 channels and group norm, is
    brought to stride 4, and through a ReLU; a last 1 x 1 convolution reads all of them. Stages are
    those of timm's ``feature_info``. IRNet takes its first stage behind the max pooling of ResNet,
    at stride 4; timm gives it before, at stride 2.

    Args:
        classifier: Gives the trunk, which is copied and frozen. IRNet's has ImageNet weights as
            they came.
        seed: Seed of the new layers.

    Raises:
        ConfigError: timm cannot give the stages of the trunk.
    """

    def __init__(self, classifier: Classifier, *, seed: int) -> None:
        super().__init__()
        self._frozen = copy.deepcopy(classifier).eval().requires_grad_(False)
        device = classifier.device
        channels = stage_channels(self._frozen)
        with seeded(seed):
            self.branches = nn.ModuleList(map(_branch, channels)).to(device)
            self.edge = nn.Conv2d(_WIDTH * len(channels), 1, 1).to(device)

    def forward(self, grey: Tensor) -> Tensor:
        """Return logits [B, ⌈H / 4⌉, ⌈W / 4⌉] of grey slices [B, H, W] on [0, 1]."""
        size = tuple(-(-side // STRIDE) for side in grey.shape[1:])
        planes = [
            F.relu(F.interpolate(branch(stage), size=size, mode="bilinear", align_corners=False))
            for branch, stage in zip(self.branches, self._stages(grey), strict=True)
        ]
        logits: Tensor = self.edge(torch.cat(planes, dim=1))
        return logits[:, 0]

    def train(self, mode: bool = True) -> BoundaryNet:
        """Switch to training, all but the trunk."""
        super().train(mode)
        self._frozen.eval()
        return self

    @property
    def fresh(self) -> list[nn.Parameter]:
        """What is trained."""
        return [*self.branches.parameters(), *self.edge.parameters()]

    @torch.no_grad()
    def _stages(self, grey: Tensor) -> list[Tensor]:
        return run_stages(self._frozen, grey)


@torch.no_grad()
def find_edges(network: BoundaryNet, grey: Tensor, *, precision: Precision) -> Tensor:
    """Probability of edges: the sigmoid of the mean logit of a slice and its mirror image (IRNet).

    Args:
        network: Trained.
        grey: Slices on [0, 1], [B, H, W], on the device of the network. Sides that are multiples of
            32 keep the strided features of the two views mirror images of each other.
        precision: Precision of the network.

    Returns:
        float32 [B, H / 4, W / 4].
    """
    network.eval()
    with autocast(grey.device, precision):
        straight, mirrored = network(grey), network(grey.flip(-1)).flip(-1)
    return torch.sigmoid((straight.float() + mirrored.float()) / 2)


def _branch(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, _WIDTH, 1, bias=False), nn.GroupNorm(_GROUPS, _WIDTH))
