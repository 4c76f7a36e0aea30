"""How a layer's output is laid out, and the way from there to [B, K, h, w] and back.

Convnets give [B, K, h, w], Swin and its relatives [B, h, w, K], vision transformers a row of tokens
[B, prefix + h * w, K] whose first ``prefix`` entries (class token, registers) lie nowhere in the
image. Methods see none of this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

Grid = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """Where the channels and the places are in a layer's output.

    Attributes:
        kind: "nchw", "nhwc" or "tokens".
        grid: Height and width of the feature map.
        channels: Number of channels K.
        prefix: Tokens in front of the map; 0 unless ``kind`` is "tokens".
        order: Which token lies at each place, row by row; None where they come in that order.
    """

    kind: Literal["nchw", "nhwc", "tokens"]
    grid: Grid
    channels: int
    prefix: int = 0
    order: Tensor | None = field(default=None, compare=False)

    def to_map(self, raw: Tensor) -> Tensor:
        """Return the feature map [B, K, h, w] of a layer's output, if it can be without copying."""
        if self.kind == "nchw":
            return raw
        if self.kind == "nhwc":
            return raw.permute(0, 3, 1, 2)
        tokens = raw[:, self.prefix :]
        rows = (tokens if self.order is None else tokens[:, self.order]).transpose(1, 2)
        return rows.reshape(*rows.shape[:2], *self.grid)

    def from_map(self, features: Tensor, prefix: Tensor) -> Tensor:
        """Put a feature map [N, K, h, w] back into the layer's own layout.

        Args:
            features: The map.
            prefix: The tokens [N, prefix, K] that stand in front of it, where it is tokens.
        """
        if self.kind == "nchw":
            return features
        if self.kind == "nhwc":
            return features.permute(0, 2, 3, 1)
        tokens = features.flatten(2).transpose(1, 2)
        if self.order is not None:
            tokens = tokens[:, self.order.argsort()]
        return torch.cat((prefix, tokens), dim=1)


def find_layout(
    shape: torch.Size, image: Grid, *, prefix: int | None = None, channels_last: bool = False
) -> Layout | None:
    """Tell the layout of a layer's output from its shape, or None where it is no feature map.

    The grid of a feature map has the proportions of the image, up to rounding. That settles the
    order of the axes and the number of prefix tokens in all but a few cases, which hints decide.

    Args:
        shape: Shape of the layer's output.
        image: Height and width of the image.
        prefix: Number of prefix tokens, if the model says so.
        channels_last: Which order to prefer where both would do.
    """
    if len(shape) == 4:
        return _find_planes(shape, image, channels_last)
    if len(shape) == 3:
        return _find_tokens(shape, image, (0, 1, 2) if prefix is None else (prefix, 0, 1, 2))
    return None


def layout_in(model: nn.Module, shape: torch.Size, image: Grid) -> Layout | None:
    """Tell the layout of a layer's output, with the hints that timm models give."""
    return find_layout(
        shape,
        image,
        prefix=getattr(model, "num_prefix_tokens", None),
        channels_last=getattr(model, "output_fmt", "NCHW") == "NHWC",
    )


def _find_planes(shape: torch.Size, image: Grid, channels_last: bool) -> Layout | None:
    nchw = Layout("nchw", (shape[2], shape[3]), shape[1])
    nhwc = Layout("nhwc", (shape[1], shape[2]), shape[3])
    best, other = (nhwc, nchw) if channels_last else (nchw, nhwc)
    if _distortion(other.grid, image) < _distortion(best.grid, image):
        best = other
    return best if _fits(best.grid, image) else None


def _find_tokens(shape: torch.Size, image: Grid, prefixes: Iterable[int]) -> Layout | None:
    for prefix in prefixes:
        grids = list(_factor_pairs(shape[1] - prefix))
        best = min(grids, key=lambda grid: _distortion(grid, image), default=None)
        if best is not None and _fits(best, image):
            return Layout("tokens", best, shape[2], prefix)
    return None


def _factor_pairs(n: int) -> Iterable[Grid]:
    return ((d, n // d) for d in range(1, n + 1) if n % d == 0)


def _distortion(grid: Grid, image: Grid) -> float:
    return abs(math.log((grid[0] * image[1]) / (grid[1] * image[0])))


def _fits(grid: Grid, image: Grid) -> bool:
    """Whether both sides of the grid follow from one stride, give or take less than a cell."""
    ratio = image[0] / image[1]
    return abs(grid[0] - grid[1] * ratio) < 1 or abs(grid[1] - grid[0] / ratio) < 1
