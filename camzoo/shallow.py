"""A timm trunk that ends at an earlier stage, with a head of its own.

The last stage of an ImageNet network sees most of the image from every place. Ending one stage
earlier keeps stride 16 without touching a convolution, and narrows the receptive field: maps follow
the organ instead of its surroundings.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from camzoo.errors import ConfigError


class ShallowModel(nn.Module):
    """The first stages of a trunk, a 1 x 1 convolution with ReLU, average pooling, a linear layer.

    It has the seam of timm's classifiers: ``forward_features``, ``forward_head``,
    ``get_classifier``.

    Args:
        trunk: A timm model; its later stages are removed.
        stages: How many entries of the trunk's ``feature_info`` are kept.
        width: Channels of the 1 x 1 convolution.
        classes: Number of logits.

    Raises:
        ConfigError: The trunk has fewer stages, or cannot be cut.
    """

    def __init__(self, trunk: nn.Module, stages: int, width: int, classes: int) -> None:
        super().__init__()
        info = getattr(trunk, "feature_info", None) or []
        if stages > len(info) or not hasattr(trunk, "prune_intermediate_layers"):
            raise ConfigError(
                f"{type(trunk).__name__} cannot be ended after stage {stages}: "
                f"it has {len(info)} stages that timm can cut at"
            )
        self._index = stages - 1
        trunk.prune_intermediate_layers([self._index], prune_norm=True, prune_head=True)  # type: ignore[operator]
        self.trunk = trunk
        self.num_features = width
        self.project = nn.Conv2d(info[self._index]["num_chs"], width, 1)
        self.fc = nn.Linear(width, classes)
        nn.init.kaiming_normal_(self.project.weight, nonlinearity="relu")
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]
        self.pretrained_cfg = getattr(trunk, "pretrained_cfg", {})

    def forward_features(self, images: Tensor) -> Tensor:
        """Return features [B, width, h, w] of images [B, channels, H, W]."""
        (features,) = self.trunk.forward_intermediates(  # type: ignore[operator]
            images, indices=[self._index], norm=False, intermediates_only=True, stop_early=True
        )
        return F.relu(self.project(features))

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Return logits [B, C] of features, or the pooled features [B, width]."""
        pooled = features.mean(dim=(2, 3))
        logits: Tensor = pooled if pre_logits else self.fc(pooled)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, C] of images [B, channels, H, W]."""
        return self.forward_head(self.forward_features(images))

    def get_classifier(self) -> nn.Module:
        """Return the linear layer."""
        return self.fc
