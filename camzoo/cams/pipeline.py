"""From saliency to maps: the same scales, flips, gating and normalisation for every method.

For each view of a batch (a scale, straight or mirrored) every method turns the shared
:class:`~camzoo.cams.view.feature_view.FeatureView` into raw saliency; it is rectified, un-mirrored,
resized and summed over views (IRNet). Then classes absent from the slice's tags are emptied and
each class is normalised once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from camzoo.cams.asking import Asked, Blame, refuse
from camzoo.cams.base import CamMethod
from camzoo.cams.finishing import Finisher
from camzoo.cams.map_arrays import MapArrays
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.view.model_seal import ModelSeal
from camzoo.cams.view.viewer import Viewer
from camzoo.config import MapsConfig, Precision
from camzoo.core.progress import Tick, silent
from camzoo.data.slices import TaggedSlices
from camzoo.learning.augmentation import mirrored
from camzoo.network.precision import autocast

if TYPE_CHECKING:
    from camzoo.network.backbone import Classifier

#: The network's input sides are multiples of this, so that features of flips are mirror images.
MULTIPLE = 32


def make_maps(
    classifier: Classifier,
    methods: Mapping[str, CamMethod],
    slices: TaggedSlices,
    config: MapsConfig,
    outs: Mapping[str, MapArrays],
    *,
    layer: str | None,
    precision: Precision,
    seal: ModelSeal | None = None,
    blame: Blame = refuse,
    tick: Tick = silent,
) -> None:
    """Fill ``outs`` with finished maps of all slices, with one forward pass per view.

    No method can change what another sees: a view that was written into is made anew. Where
    somebody wrote past all that torch counts, or with a ``seal`` into the classifier, all methods
    are asked again, each with a view of its own and the classifier as it was.

    Args:
        classifier: The trained network, on the device where to compute; it is left as it is.
        methods: The methods by name, fitted where they need it.
        slices: Images and tags; tags gate the maps.
        config: Views and normalisation.
        outs: Where the maps of each method go, by the same names.
        layer: Target layer by timm's name, or None for what the pooling sees.
        precision: What the network computes in.
        seal: Guards the classifier.
        blame: Told the name of a method that did so, and what it changed; its maps of that view
            are empty. By default that is an error.
        tick: Told (batches done, batches in all).

    Raises:
        ConfigError: The network gives no maps at this layer.
    """
    device = classifier.device
    look = _Look(classifier, Viewer(classifier.model, layer), config)
    asked = Asked(methods, seal, blame)
    flip = mirrored(config.flip, sided=slices.sided)
    finisher = Finisher(slices, config.normalisation)
    total = -(-len(slices) // config.batch)
    for done, (which, grey, tags) in enumerate(slices.batches(config.batch, device)):
        with autocast(device, precision):
            evidence = _summed_views(partial(look, which, grey), asked, config, flip=flip)
        for name, summed in evidence.items():
            finisher.write(outs[name], which, summed, tags > 0)
        tick(done + 1, total)


@dataclass(frozen=True)
class _Look:
    """Makes the views of slices, as often as it is asked."""

    classifier: Classifier
    viewer: Viewer
    config: MapsConfig

    def __call__(self, rows: slice, grey: Tensor, scale: float, *, mirror: bool) -> FeatureView:
        images = self.classifier.normalise(resize(grey, input_side(self.config.side, scale)))
        images = images.flip(-1) if mirror else images
        return self.viewer(images, rows=rows, mirrored=mirror)


def _summed_views(
    look: Callable[..., FeatureView], asked: Asked, config: MapsConfig, *, flip: bool
) -> dict[str, Tensor]:
    """Rectified saliency summed over scales and flips: name -> [B, C, size, size], float32."""
    summed: dict[str, Tensor] = {}
    size = (config.size, config.size)
    for scale in config.scales:
        for mirror in (False, True) if flip else (False,):
            answers = asked.about(partial(look, scale, mirror=mirror))
            for name, answer in answers.items():
                saliency = answer.relu()
                saliency = saliency.flip(-1) if mirror else saliency
                full = F.interpolate(saliency, size=size, mode="bilinear", align_corners=False)
                summed[name] = summed[name] + full if name in summed else full
    return summed


def input_side(side: int, scale: float) -> int:
    """Side in pixels of the network's input at a scale, rounded to a multiple of 32."""
    return max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE)


def resize(grey: Tensor, side: int) -> Tensor:
    """Resize slices [B, S, S] to [B, side, side]."""
    if grey.shape[-1] == side:
        return grey
    return F.interpolate(
        grey[:, None], size=(side, side), mode="bilinear", antialias=True, align_corners=False
    )[:, 0]
