"""Heads that are average pooling and a linear layer: everything about them has a closed form.

With logits y_c = sum_k w_ck mean(A_k) + b_c the gradient dy_c/dA_k is w_ck / (h w) at every place,
and zeroing channel k takes w_ck mean(A_k) away.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from camzoo.cams.cut import Cut, Trace, same_logits
from camzoo.cams.isolation import grad_mode
from camzoo.cams.layout import Layout
from camzoo.errors import ConfigError


def classifier_of(model: nn.Module) -> nn.Linear | nn.Conv2d | None:
    """Return timm's classifier where it is one linear layer, as such or as a 1 x 1 convolution."""
    getter = getattr(model, "get_classifier", None)
    classifier = getter() if getter else None
    if isinstance(classifier, nn.Linear):
        return classifier
    if isinstance(classifier, nn.Conv2d) and classifier.kernel_size == (1, 1):
        return classifier
    return None


def class_weights(model: nn.Module, channels: int) -> Tensor | None:
    """Return the weights [C, K] of the classifier if it has one for each of ``channels``."""
    classifier = classifier_of(model)
    if classifier is None:
        return None
    weight = classifier.weight.detach().flatten(1).float()
    return weight if weight.shape[1] == channels else None


def is_pooled_linear(cut: Cut, trace: Trace, layout: Layout) -> bool:
    """Whether the only target layer is followed by average pooling and the classifier alone.

    Not read off the model's class, which could hide a norm or an activation, but tried out: two
    random feature maps of unlike scale have to get the logits that the closed form predicts.
    """
    classifier = classifier_of(cut.model)
    weight = class_weights(cut.model, layout.channels)
    if classifier is None or weight is None or not weight.any():
        return False  # weights that are all zero would agree with anything
    output = trace.outputs[0]
    features = torch.randn(
        2, layout.channels, *layout.grid, generator=torch.Generator().manual_seed(0)
    )
    features[1] *= 10
    features = features.to(output)
    rows = torch.zeros(2, dtype=torch.long, device=output.device)
    with grad_mode(enabled=False):
        raw = layout.from_map(features, output[rows, : layout.prefix])
        logits = cut.behind(0, raw, trace, rows)
        expected = features.float().mean((2, 3)) @ weight.T
        if classifier.bias is not None:
            expected += classifier.bias.float()
    return same_logits(logits, expected)


def default_layer(model: nn.Module) -> str | None:
    """Return the layer to use where the last features cannot: else None, for the last features.

    A transformer that classifies by its class token ignores the patch tokens of its last block, so
    that their gradient is zero. The norm at the entrance of that block is the last place where the
    patches still count.

    Raises:
        ConfigError: The model is of that kind but has no such norm.
    """
    if getattr(model, "global_pool", None) != "token":
        return None
    blocks = getattr(model, "blocks", None)
    if isinstance(blocks, nn.Sequential | nn.ModuleList) and hasattr(blocks[-1], "norm1"):
        return f"blocks.{len(blocks) - 1}.norm1"
    raise ConfigError(
        f"{type(model).__name__} classifies by its class token, and where its patch tokens last "
        "count is not known; choose a layer by name (camzoo layers lists them)"
    )
