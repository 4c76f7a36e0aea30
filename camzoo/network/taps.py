"""A timm trunk whose head reads chosen stages instead of the last one alone.

The last stage of an ImageNet network sees most of the image from every place, and its maps spread
over the surroundings of an organ. An earlier stage of stride 16 sees less and follows the organ. A
head that reads it, alone or beside the last one, is still average pooling and a linear layer, so
that all that holds for CAMs of such heads holds here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from camzoo.core.errors import ConfigError
from camzoo.network.heads import OwnHead


class TappedModel(OwnHead):
    """Chosen stages of a trunk, side by side, then average pooling and a linear layer.

    An earlier stage goes through a 1 x 1 convolution and a ReLU; the last one is what timm's own
    head would see. Coarser stages are enlarged to the grid of the finest. As timm's trunks do, the
    model has ``forward_intermediates``.

    Attributes:
        left: Numbers of the trunk's stages that are run, counted from 0.

    Args:
        trunk: A timm model; stages behind the last chosen one are removed.
        stages: Which entries of the trunk's ``feature_info``, counted from 1, ascending.
        width: Channels of each 1 x 1 convolution.
        classes: Number of logits.

    Raises:
        ConfigError: The trunk has no such stages, or cannot be cut.
    """

    def __init__(self, trunk: nn.Module, stages: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        info = getattr(trunk, "feature_info", None) or []
        if max(stages) > len(info) or not hasattr(trunk, "prune_intermediate_layers"):
            raise ConfigError(
                f"{type(trunk).__name__} has no stages {', '.join(map(str, stages))}: "
                f"timm can cut it at {len(info)}"
            )
        self._whole = stages[-1] == len(info)
        self.left = list(range(stages[-1]))
        self._earlier = [stage - 1 for stage in stages if stage < len(info)]
        if not self._whole:
            trunk.prune_intermediate_layers([stages[-1] - 1], prune_norm=True, prune_head=True)  # type: ignore[operator]
        trunk.reset_classifier(0)  # type: ignore[operator]
        channels = [info[index]["num_chs"] for index in self._earlier]
        last = int(trunk.num_features) if self._whole else 0  # type: ignore[arg-type]
        self.trunk = trunk
        self.projections = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.num_features = width * len(channels) + last
        self.fc = nn.Linear(self.num_features, classes)
        for projection in self.projections:
            nn.init.kaiming_normal_(projection.weight, nonlinearity="relu")  # type: ignore[arg-type]
            nn.init.zeros_(projection.bias)  # type: ignore[arg-type]
        self.pretrained_cfg = getattr(trunk, "pretrained_cfg", {})

    def forward_features(self, images: Tensor) -> Tensor:
        """Return features [B, K, h, w] of images [B, channels, H, W]."""
        if not self._earlier:
            features: Tensor = self.trunk.forward_features(images)  # type: ignore[operator]
            return features
        return self._joined(*self._stages(images, self._earlier))

    @overload
    def forward_intermediates(
        self, images: Tensor, *, norm: bool = ..., intermediates_only: Literal[False] = ...
    ) -> tuple[Tensor, list[Tensor]]: ...
    @overload
    def forward_intermediates(
        self, images: Tensor, *, norm: bool = ..., intermediates_only: Literal[True]
    ) -> list[Tensor]: ...
    def forward_intermediates(
        self, images: Tensor, *, norm: bool = False, intermediates_only: bool = False
    ) -> tuple[Tensor, list[Tensor]] | list[Tensor]:
        """Return the features and all stages that are left of the trunk, from one pass.

        Args:
            images: [B, channels, H, W].
            norm: Whether stages go through the trunk's last norm, where it has one.
            intermediates_only: Leave the features out.
        """
        if intermediates_only:
            stages: list[Tensor] = self.trunk.forward_intermediates(  # type: ignore[operator]
                images, indices=self.left, norm=norm, intermediates_only=True
            )
            return stages
        last, stages = self._stages(images, self.left, norm=norm)
        return self._joined(last, [stages[index] for index in self._earlier]), stages

    def _stages(
        self, images: Tensor, indices: Sequence[int], *, norm: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """Features in front of timm's head, and those of stages, in one pass."""
        run = self.trunk.forward_intermediates
        if self._whole:
            last, stages = run(images, indices=indices, norm=norm)  # type: ignore[operator]
            return last, stages
        stages = run(  # type: ignore[operator]
            images, indices=indices, norm=norm, intermediates_only=True, stop_early=True
        )
        return stages[-1], stages

    def _joined(self, last: Tensor, earlier: Sequence[Tensor]) -> Tensor:
        """Bring what the head reads side by side."""
        if not self._earlier:
            return last
        maps = [
            F.relu(project(stage)) for project, stage in zip(self.projections, earlier, strict=True)
        ]
        maps += [last] if self._whole else []
        grid = max((m.shape[-2:] for m in maps), key=lambda size: size[0] * size[1])
        return torch.cat([_on_grid(m, grid) for m in maps], dim=1)


def _on_grid(maps: Tensor, grid: torch.Size) -> Tensor:
    if maps.shape[-2:] == grid:
        return maps
    return F.interpolate(maps, size=tuple(grid), mode="bilinear", align_corners=False)
