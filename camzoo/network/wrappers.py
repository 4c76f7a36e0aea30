"""The network inside what is wrapped around it: a compiler, copies for several devices, averages.

A compiled model does not run hooks that are set after it was compiled, and a copy for several
devices gives other modules to each of them. What lies inside computes the same, in plain sight.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from camzoo.core.errors import ConfigError

#: Attribute under which each wrapper of torch keeps what it wraps.
_COMPILED = "_orig_mod"
_COPIED = "module"
_COPIERS = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)


def unwrap(model: nn.Module) -> nn.Module:
    """Return the network inside all wrappers.

    Raises:
        ConfigError: It is traced or scripted, so that its layers are not run one by one.
    """
    while (attribute := _wrapping(model)) is not None:
        model = getattr(model, attribute)
    if isinstance(model, torch.jit.ScriptModule):
        raise ConfigError(
            f"{type(model).__name__} is traced or scripted and hides what its layers give; "
            "give the model that it was made from"
        )
    return model


def inner_name(model: nn.Module, name: str) -> str:
    """Turn the name of a layer in a wrapped model into its name in the network inside."""
    while (attribute := _wrapping(model)) is not None:
        name = name.removeprefix(f"{attribute}.")
        model = getattr(model, attribute)
    return name


def _wrapping(model: nn.Module) -> str | None:
    if isinstance(getattr(model, _COMPILED, None), nn.Module):
        return _COMPILED
    return _COPIED if isinstance(model, _COPIERS) else None
