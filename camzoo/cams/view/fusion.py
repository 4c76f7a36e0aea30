"""How the maps of several layers become one."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.core.errors import ConfigError


class Fusion(StrEnum):
    """Names of the ways to fuse.

    ``max`` is LayerCAM's (Jiang et al., TIP 2021) without its tanh, ``mean`` pytorch-grad-cam's,
    ``product`` keeps only what all layers agree on.
    """

    MAX = "max"
    MEAN = "mean"
    PRODUCT = "product"

    @classmethod
    def named(cls, name: str) -> Fusion:
        """Return the fusion called ``name``.

        Raises:
            ConfigError: There is none.
        """
        try:
            return cls(name)
        except ValueError as error:
            known = ", ".join(cls)
            raise ConfigError(f"unknown fusion {name!r}; known: {known}") from error


def fuse(maps: Sequence[Tensor], fusion: Fusion) -> Tensor:
    """Fuse maps [B, C, h_i, w_i] into one [B, C, h, w] on the finest grid.

    Layers differ in scale. Each map is therefore cut at zero and divided by its maximum (per image
    and class; a map without positive evidence stays zero), then resized, then fused.
    """
    size = max((tuple(m.shape[2:]) for m in maps), key=lambda grid: grid[0] * grid[1])
    same = torch.stack([F.interpolate(_to_unit(m), size=size, mode="bilinear") for m in maps])
    if fusion is Fusion.MAX:
        return same.amax(0)
    return same.mean(0) if fusion is Fusion.MEAN else same.prod(0)


def _to_unit(maps: Tensor) -> Tensor:
    positive = maps.clamp(min=0)
    peak = positive.amax((2, 3), keepdim=True)
    return positive / peak.clamp(min=torch.finfo(peak.dtype).tiny)
