"""A map over its image, as a picture."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from camzoo.core.errors import ConfigError

#: From dark to bright in even steps to the eye, and told apart by the colour-blind.
COLOURS: Final = "inferno"


def overlay(
    image: ArrayLike | Tensor,
    saliency: ArrayLike | Tensor,
    *,
    opacity: float = 0.5,
    colours: str = COLOURS,
) -> NDArray[np.uint8]:
    """Lay the map of one class over its image.

    Negative evidence counts as none, and the largest evidence has the brightest colour. The image
    is stretched from its darkest to its brightest value, so that one that was normalised for a
    network may be given as it is.

    Args:
        image: Grey [H, W] or [1, H, W], or in colour [3, H, W] or [H, W, 3].
        saliency: Map [h, w] of any size, stretched over the image.
        opacity: How much of the picture is the map, everywhere alike: from 0 (image alone) to 1
            (map alone).
        colours: Name of a colour map of matplotlib. The default rises evenly in brightness.

    Returns:
        The picture, uint8 [H, W, 3].

    Raises:
        ConfigError: The image or the map has another shape or holds values that are not finite, or
            the opacity or colours are none.

    Example:
        >>> image, saliency = torch.rand(1, 64, 96), torch.rand(2, 3)
        >>> overlay(image, saliency).shape
        (64, 96, 3)
    """
    if not 0 <= opacity <= 1:
        raise ConfigError(f"expected an opacity from 0 to 1, got {opacity}")
    if colours not in colormaps:
        raise ConfigError(f"matplotlib has no colour map {colours!r}; the default is {COLOURS}")
    picture = _stretched(_in_colour(_array("image", image)))
    evidence = _evidence(_array("map", saliency), (picture.shape[0], picture.shape[1]))
    painted = colormaps[colours](evidence)[..., :3]
    mixed = (1 - opacity) * picture + opacity * painted
    return np.rint(255 * mixed).astype(np.uint8)


def _array(what: str, values: Any) -> NDArray[np.float64]:
    if isinstance(values, Tensor):
        values = values.detach().cpu().double().numpy()
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"expected the {what} as numbers: {error}") from error
    if not array.size or not np.isfinite(array).all():
        raise ConfigError(f"the {what} of shape {list(array.shape)} is empty or not finite")
    return array


def _in_colour(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring an image to [H, W, 3]."""
    if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[2] != 3:
        image = image.transpose(1, 2, 0)
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ConfigError(
            f"expected one image [H, W], [1, H, W], [3, H, W] or [H, W, 3], got {list(image.shape)}"
        )
    return np.broadcast_to(image, (*image.shape[:2], 3))


def _stretched(image: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = image.min(), image.max()
    return (image - low) / (high - low) if high > low else np.zeros_like(image)


def _evidence(saliency: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    if saliency.ndim != 2:
        raise ConfigError(
            f"expected the map of one image and class [h, w], got {list(saliency.shape)}; "
            'choose one, such as maps["cam"][0, 1]'
        )
    maps = torch.from_numpy(saliency.clip(min=0))[None, None]
    full = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)[0, 0].numpy()
    peak = full.max()
    return full / peak if peak > 0 else full
