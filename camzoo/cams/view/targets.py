"""Which layers are looked at: given by name or as modules, or found by looking."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn

from camzoo.core.errors import ConfigError
from camzoo.network.heads import OwnHead
from camzoo.network.isolation import evaluating, grad_mode, hooked
from camzoo.network.layout import Grid, Layout, layout_in
from camzoo.network.outputs import logits_of
from camzoo.network.taps import TappedModel
from camzoo.network.wrappers import inner_name, unwrap

#: A layer by its name in ``model.named_modules()``, or the module itself.
Layer = str | nn.Module
#: Stands for a default layer that nothing but a pass of the network can tell.
UNKNOWN: Final = "?"


def layer_names(layer: Layer | Iterable[Layer], model: nn.Module) -> tuple[str, ...]:
    """Return the names of layers in the network inside ``model``.

    Raises:
        ConfigError: One is no layer of it, one is there twice, or there is none.
    """
    listed = [layer] if isinstance(layer, str | nn.Module) else _listed(layer)
    names = tuple(_name(one, model) for one in listed)
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"expected one or more different layers, got {names}")
    return names


def default_layer(model: nn.Module) -> str | None:
    """Return the layer of a timm model to use where the last features cannot be; else None.

    A transformer that classifies by its class token ignores the patch tokens of its last block, so
    that their gradient is zero. The norm at the entrance of that block is the last place where the
    patches still count. ``UNKNOWN`` is returned for a model of that kind without such a norm: there
    one has to look.
    """
    if getattr(model, "global_pool", None) != "token":
        return None
    blocks = getattr(model, "blocks", None)
    if isinstance(blocks, nn.Sequential | nn.ModuleList) and hasattr(blocks[-1], "norm1"):
        return f"blocks.{len(blocks) - 1}.norm1"
    return UNKNOWN


def stage_layers(model: nn.Module, count: int) -> tuple[str, ...]:
    """Return the layers that end the last ``count`` stages of a timm model, the first one first.

    Raises:
        ConfigError: timm does not say where stages end, or there are fewer.
    """
    own = isinstance(model, OwnHead)
    info = getattr(model.trunk if own else model, "feature_info", None) or []
    run = len(model.left) if isinstance(model, TappedModel) else len(info)
    if run < count:
        raise ConfigError(
            f"expected the ends of {count} stages, and timm names {run} of "
            f"{type(model).__name__}; ask for fewer, or choose another network"
        )
    ends = (f"{'trunk.' if own else ''}{stage['module']}" for stage in info[:run])
    return tuple(ends)[-count:]


def last_map(model: nn.Module, images: Tensor) -> str:
    """Find the last layer that gives a feature map whose places count for the logits.

    Args:
        model: Any classifier.
        images: [1, 3, H, W].

    Raises:
        ConfigError: There is none.
    """
    names: dict[nn.Module, str] = {m: name for name, m in model.named_modules() if name}
    given: list[tuple[nn.Module, Tensor]] = []

    def keep(module: nn.Module, _: object, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        given.append((module, output))
        return output.clone()  # the network may go on in place

    with evaluating(model), grad_mode(enabled=True):
        with hooked((names, keep)):
            logits = logits_of(model(images.detach().clone().requires_grad_()), len(images), model)
        outputs = [output for _, output in given if output.requires_grad]
        grads: Iterable[Tensor | None] = ()
        if logits.requires_grad and outputs:
            grads = torch.autograd.grad(logits.sum(), outputs, allow_unused=True)
    reached = dict(zip(map(id, outputs), grads, strict=True)) if grads else {}
    runs = [module for module, _ in given]
    size = (images.shape[2], images.shape[3])
    for module, output in reversed(given):
        if isinstance(module, nn.Linear):  # what queries are made of is not what a block gives
            continue
        layout, grad = map_layout(model, output, size), reached.get(id(output))
        once = runs.count(module) == 1
        if once and layout is not None and grad is not None and layout.to_map(grad).any():
            return names[module]
    raise ConfigError(
        f"no layer of {type(model).__name__} gives a feature map that its logits depend on; "
        "choose a layer by name"
    )


def map_layout(model: nn.Module, output: Any, size: Grid) -> Layout | None:
    """Tell the layout of a layer's output for one image; None if it is no map of several places."""
    if not isinstance(output, Tensor) or len(output) != 1:
        return None
    layout = layout_in(model, output.shape, size)
    return None if layout is None or layout.grid == (1, 1) else layout


def _name(layer: Any, model: nn.Module) -> str:
    inside = unwrap(model)
    if isinstance(layer, str):
        return inner_name(model, layer)
    if not isinstance(layer, nn.Module):
        raise ConfigError(f"expected a layer by name or as a module, got {type(layer).__name__}")
    names: dict[nn.Module, str] = {m: name for name, m in inside.named_modules() if name}
    if layer in names:
        return names[layer]
    raise ConfigError(
        f"the layer given as {type(layer).__name__} is no part of {type(inside).__name__}; "
        "give one of its modules, or a name"
    )


def _listed(layers: Any) -> list[Any]:
    try:
        return list(layers)
    except TypeError as error:
        raise ConfigError(
            f"expected a layer by name or as a module, or several, got {type(layers).__name__}"
        ) from error
