"""The heads of classifiers: what makes logits of pooled features."""

from __future__ import annotations

from torch import nn


def classifier_of(model: nn.Module) -> nn.Linear | nn.Conv2d | None:
    """Return timm's classifier where it is one linear layer, as such or as a 1 x 1 convolution."""
    getter = getattr(model, "get_classifier", None)
    classifier = getter() if getter else None
    if isinstance(classifier, nn.Linear):
        return classifier
    if isinstance(classifier, nn.Conv2d) and classifier.kernel_size == (1, 1):
        return classifier
    return None
