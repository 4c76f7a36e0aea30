"""A contact sheet: the maps of many methods on one slice, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import torch.nn.functional as F
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from camzoo.cams.picture import COLOURS

_OPACITY: Final = 0.75
_COLUMNS: Final = 6


def overlay(grey: Tensor, saliency: Tensor) -> NDArray[np.floating[Any]]:
    """Lay one map over one slice.

    Args:
        grey: The slice on [0, 1], [H, W].
        saliency: Raw map [h, w]; cut at zero, divided by its maximum and resized.

    Returns:
        Red, green and blue on [0, 1], [H, W, 3]. Where there is no evidence the slice shows as it
        is; more evidence covers it more, in a brighter colour.
    """
    height, width = grey.shape
    full = F.interpolate(saliency[None, None], size=(height, width), mode="bilinear")[0, 0]
    unit = (full.clamp(min=0) / full.max().clamp(min=1e-12)).cpu().numpy()
    colour = mpl.colormaps[COLOURS](unit)[..., :3]
    share = _OPACITY * unit[..., None]
    blended: NDArray[np.floating[Any]] = (1 - share) * grey.cpu().numpy()[
        ..., None
    ] + share * colour
    return blended


def write_sheet(grey: Tensor, maps: Mapping[str, Tensor], path: Path) -> None:
    """Write a PNG with the slice and one tile per method.

    Args:
        grey: The slice on [0, 1], [H, W].
        maps: Name to raw map [h, w].
        path: Where to.
    """
    tiles = {"slice": np.repeat(grey.cpu().numpy()[..., None], 3, axis=2)}
    tiles |= {name: overlay(grey, saliency) for name, saliency in maps.items()}
    rows = math.ceil(len(tiles) / _COLUMNS)
    figure = Figure(figsize=(2 * _COLUMNS, 2.25 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (name, tile) in zip(axes, tiles.items(), strict=False):
        axis.imshow(tile, interpolation="nearest")
        axis.set_title(name, fontsize=9)
    figure.savefig(path, dpi=64, metadata={"Software": None})
