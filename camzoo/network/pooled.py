"""A timm trunk under a head of its own: average pooling and one linear layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from camzoo.core.errors import ConfigError
from camzoo.network.heads import OwnHead
from camzoo.network.layout import layout_in


class PooledModel(OwnHead):
    """A trunk whose own head is more than one linear layer, with that head taken off.

    Some of timm's heads are several: one for distillation beside the other, a hidden layer in
    front. What stands here in their place is the head that maps are explained by.

    Args:
        trunk: A timm model; its head is removed.
        classes: Number of logits.

    Raises:
        ConfigError: timm cannot take the head off.
    """

    def __init__(self, trunk: nn.Module, classes: int) -> None:
        super().__init__()
        if not hasattr(trunk, "reset_classifier") or not hasattr(trunk, "forward_features"):
            raise ConfigError(
                f"the head of {type(trunk).__name__} is not one linear layer, and timm cannot take "
                "it off; choose another backbone"
            )
        trunk.reset_classifier(0)  # type: ignore[operator]
        self.trunk = trunk
        self.num_features = int(trunk.num_features)  # type: ignore[arg-type]
        self.fc = nn.Linear(self.num_features, classes)
        self.pretrained_cfg = getattr(trunk, "pretrained_cfg", {})

    def forward_features(self, images: Tensor) -> Tensor:
        """Return features [B, K, h, w] of images [B, channels, H, W].

        Raises:
            ConfigError: The trunk gives several maps, or none.
        """
        given: Any = self.trunk.forward_features(images)  # type: ignore[operator]
        layout = None
        if isinstance(given, Tensor):
            layout = layout_in(self.trunk, given.shape, (images.shape[2], images.shape[3]))
        if layout is None or layout.channels != self.num_features:
            raise ConfigError(
                f"the trunk of {type(self.trunk).__name__} does not end in one feature map that a "
                "linear layer could read; choose another backbone"
            )
        return layout.to_map(given)
