"""Which layers of a network give feature maps, for choosing one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import nn

from camzoo.cams.view.targets import default_layer, map_layout
from camzoo.network.isolation import evaluating, grad_mode, hooked
from camzoo.network.layout import Grid
from camzoo.network.timm_names import require_model


@dataclass(frozen=True)
class LayerInfo:
    """A layer that can be a target.

    Attributes:
        name: What ``layer=`` takes; empty for what the global pooling sees.
        kind: Class of the module.
        channels: K.
        grid: Height and width of the feature map for the image size that was asked about.
        stride: Pixels of the image per cell, down and across.
        default: Whether it is what ``layer=None`` chooses.
    """

    name: str
    kind: str
    channels: int
    grid: Grid
    stride: tuple[int, int]
    default: bool


def list_layers(model: nn.Module, size: tuple[int, int, int], depth: int = 2) -> list[LayerInfo]:
    """List the layers that give one feature map per image, in the order they are run.

    Args:
        model: Any timm classifier, on any device; on ``torch.device("meta")`` it costs nothing.
        size: Channels, height and width of the image.
        depth: How deep modules may be nested: 2 lists ``stages.1`` but not ``stages.1.blocks``.
    """
    names = {m: n for n, m in model.named_modules() if n and n.count(".") < depth}
    given: list[tuple[nn.Module, Any]] = []

    def keep(module: nn.Module, _: object, output: Any) -> None:
        given.append((module, output))

    device = next(model.parameters()).device
    with evaluating(model), grad_mode(enabled=False), hooked((names, keep)):
        features = model.forward_features(torch.zeros(1, *size, device=device))  # type: ignore[operator]
    default = default_layer(model)
    found = [_info(names[m], m, out, size, model, names[m] == default) for m, out in given]
    last = None if default else _info("", model, features, size, model, True)
    runs = [module for module, _ in given]
    once = [info for info, m in zip(found, runs, strict=True) if info and runs.count(m) == 1]
    return [*once, *([last] if last else [])]


def create_outline(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """Make a timm model without memory for its weights; return it and its image size.

    Raises:
        UnknownNameError: timm does not know the model.
    """
    require_model(name)
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    return model, tuple(resolve_model_data_config(model)["input_size"])


def _info(
    name: str,
    module: nn.Module,
    output: Any,
    size: tuple[int, int, int],
    model: nn.Module,
    default: bool,
) -> LayerInfo | None:
    _, height, width = size
    layout = map_layout(model, output, (height, width))
    if layout is None:
        return None
    stride = (round(height / layout.grid[0]), round(width / layout.grid[1]))
    return LayerInfo(name, type(module).__name__, layout.channels, layout.grid, stride, default)
