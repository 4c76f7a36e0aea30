"""The heads of classifiers: what makes logits of pooled features."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class OwnHead(nn.Module, ABC):
    """A timm trunk under a head that is average pooling and one linear layer.

    It has the seam of timm's classifiers: ``forward_features``, ``forward_head`` and
    ``get_classifier``.

    Attributes:
        trunk: What is timm's own, without its head.
        fc: The linear layer.
    """

    trunk: nn.Module
    fc: nn.Linear

    @abstractmethod
    def forward_features(self, images: Tensor) -> Tensor:
        """Return features [B, K, h, w] of images [B, channels, H, W]."""

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Return logits [B, C] of features, or the pooled features [B, K]."""
        pooled = features.mean(dim=(2, 3))
        logits: Tensor = pooled if pre_logits else self.fc(pooled)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, C] of images [B, channels, H, W]."""
        return self.forward_head(self.forward_features(images))

    def get_classifier(self) -> nn.Module:
        """Return the linear layer."""
        return self.fc


def classifier_of(model: nn.Module) -> nn.Linear | nn.Conv2d | None:
    """Return timm's classifier where it is one linear layer, as such or as a 1 x 1 convolution."""
    getter = getattr(model, "get_classifier", None)
    classifier = getter() if getter else None
    if isinstance(classifier, nn.Linear):
        return classifier
    if isinstance(classifier, nn.Conv2d) and classifier.kernel_size == (1, 1):
        return classifier
    return None
