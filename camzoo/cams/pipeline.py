"""From saliency to maps: the same scales, flips, gating and normalisation for every method.

For each view of a batch (a scale, straight or mirrored) every method turns the shared
:class:`~camzoo.cams.view.FeatureView` into raw saliency; it is rectified, un-mirrored, resized and
summed over views (IRNet). Then classes absent from the slice's tags are emptied and each class is
normalised once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from camzoo.backbone import Classifier
from camzoo.cams.base import CamMethod
from camzoo.cams.view import Viewer
from camzoo.config import MapsConfig, Precision
from camzoo.data.slices import TaggedSlices
from camzoo.precision import autocast
from camzoo.progress import Tick, silent
from camzoo.training import mirrored

#: Keeps a division by an empty peak finite. Far below any evidence: IRNet's 1e-5 is not, and would
#: leave the maximum of a timid classifier short of 1.
TINY = torch.finfo(torch.float32).tiny
#: The network's input sides are multiples of this, so that features of flips are mirror images.
MULTIPLE = 32
#: Slices whose finished maps are worked on at a time.
_PART = 64


class MapStatus(IntEnum):
    """Why a map is, or is not, evidence. Stored per slice and class."""

    OK = 0
    ABSENT = 1
    ALL_NEGATIVE = 2
    CONSTANT = 3
    NON_FINITE = 4


class MapSink(Protocol):
    """Where finished maps of one method go."""

    def write(self, which: slice, maps: Tensor, status: Tensor, peak: Tensor) -> None:
        """Take maps [b, C, s, s], status [b, C] and raw maxima [b, C] of slices ``which``."""


@dataclass
class MapArrays:
    """Maps of one method for a set of slices, in memory or memory-mapped.

    Attributes:
        maps: float16 [N, C, s, s], normalised.
        status: uint8 [N, C], :class:`MapStatus`.
        peak: float32 [N, C], maximum of the summed evidence before normalisation.
    """

    maps: NDArray[np.float16]
    status: NDArray[np.uint8]
    peak: NDArray[np.float32]

    @classmethod
    def empty(cls, slices: int, classes: int, size: int) -> MapArrays:
        """Allocate for ``slices`` slices."""
        return cls(
            np.zeros((slices, classes, size, size), np.float16),
            np.zeros((slices, classes), np.uint8),
            np.zeros((slices, classes), np.float32),
        )

    def write(self, which: slice, maps: Tensor, status: Tensor, peak: Tensor) -> None:
        """Store what the pipeline hands over."""
        self.maps[which] = maps.half().cpu().numpy()
        self.status[which] = status.cpu().numpy()
        self.peak[which] = peak.float().cpu().numpy()


def make_maps(
    classifier: Classifier,
    methods: Mapping[str, CamMethod],
    slices: TaggedSlices,
    config: MapsConfig,
    sinks: Mapping[str, MapSink],
    *,
    layer: str | None,
    precision: Precision,
    device: torch.device,
    tick: Tick = silent,
) -> None:
    """Compute the maps of all ``methods`` for all ``slices``, with one forward pass per view.

    Args:
        classifier: Trained.
        methods: By name; fitted where they need it.
        slices: Images and tags; tags gate the maps.
        config: Views and normalisation.
        sinks: By the same names: where the maps go.
        layer: Target layer by timm's name, or None for what the pooling sees.
        precision: Of the passes.
        device: Where to compute.
        tick: Told (batches done, batches in all).
    """
    classifier.to(device).eval()
    viewer = Viewer(classifier.model, layer)
    flip = mirrored(config.flip, slices)
    total = -(-len(slices) // config.batch)
    for done, (which, images, tags) in enumerate(slices.batches(config.batch)):
        grey = images.to(device, non_blocking=True).float() / 255
        gates = tags.to(device, non_blocking=True) > 0
        with autocast(device, precision):
            evidence = _summed_views(classifier, viewer, methods, which, grey, config, flip=flip)
        for name, summed in evidence.items():
            maps, status, peak = finish(summed, gates, config.normalisation)
            sinks[name].write(which, maps, status, peak)
        tick(done + 1, total)


def _summed_views(
    classifier: Classifier,
    viewer: Viewer,
    methods: Mapping[str, CamMethod],
    which: slice,
    grey: Tensor,
    config: MapsConfig,
    *,
    flip: bool,
) -> dict[str, Tensor]:
    """Rectified saliency summed over scales and flips: name -> [B, C, size, size], float32."""
    summed: dict[str, Tensor] = {}
    for scale in config.scales:
        images = classifier.normalise(resize(grey, input_side(config.side, scale)))
        for mirror in (False, True) if flip else (False,):
            view = viewer(images.flip(-1) if mirror else images)
            for layer in view.layers:
                layer.rows, layer.mirrored = which, mirror
            for name, method in methods.items():
                saliency = method(view).relu()
                saliency = saliency.flip(-1) if mirror else saliency
                full = F.interpolate(
                    saliency, size=(config.size, config.size), mode="bilinear", align_corners=False
                )
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


def finish(evidence: Tensor, gates: Tensor, normalisation: str) -> tuple[Tensor, Tensor, Tensor]:
    """Gate and normalise summed evidence.

    Args:
        evidence: Non-negative sums over views, [B, C, s, s].
        gates: Whether the class is in the slice, bool [B, C].
        normalisation: As in :class:`~camzoo.config.MapsConfig`. "volume-max" leaves the maps as
            they are; they are divided once the whole volume is known.

    Returns:
        Maps [B, C, s, s] without NaN, status [B, C] and raw maxima [B, C].
    """
    peak = evidence.amax(dim=(2, 3))
    low = evidence.amin(dim=(2, 3))
    status = torch.full_like(peak, MapStatus.OK, dtype=torch.uint8)
    status[peak <= 0] = MapStatus.ALL_NEGATIVE
    status[(peak > 0) & (peak == low)] = MapStatus.CONSTANT
    status[~torch.isfinite(peak + low)] = MapStatus.NON_FINITE
    status[~gates] = MapStatus.ABSENT
    usable = (status == MapStatus.OK) | (status == MapStatus.CONSTANT)
    maps = torch.where(usable[:, :, None, None], _normalise(evidence, low, peak, normalisation), 0)
    return maps, status, torch.where(gates, peak, 0).nan_to_num(0, 0, 0)


def _normalise(evidence: Tensor, low: Tensor, peak: Tensor, normalisation: str) -> Tensor:
    low, peak = low[:, :, None, None], peak[:, :, None, None]
    if normalisation == "max":
        return evidence / peak.clamp_min(TINY)
    if normalisation == "min-max":
        return (evidence - low) / (peak - low).clamp_min(TINY)
    return evidence


def rewrite(
    source: MapArrays,
    slices: TaggedSlices,
    out: MapArrays,
    change: Callable[[Tensor, slice], Tensor],
    *,
    normalisation: str,
    device: torch.device,
) -> None:
    """Fill ``out`` with changed maps, gated and normalised anew, a part at a time.

    Args:
        source: Finished maps of ``slices``.
        slices: Their tags gate the result.
        out: Of the same shape.
        change: From maps [b, C, s, s], float32, of the slices in a slice of rows to evidence.
        normalisation: As in :class:`~camzoo.config.MapsConfig`.
        device: Where to compute.
    """
    for start in range(0, len(slices), _PART):
        which = slice(start, min(start + _PART, len(slices)))
        maps = torch.from_numpy(np.array(source.maps[which])).to(device).float()
        gates = slices.tag_tensor(which).to(device) > 0
        out.write(which, *finish(change(maps, which), gates, normalisation))
    if normalisation == "volume-max":
        divide_by_volume_maximum(out, slices.cases)


def divide_by_volume_maximum(arrays: MapArrays, cases: tuple[tuple[str, int, int], ...]) -> None:
    """Normalise each class by its largest evidence in the volume, in place."""
    for _, start, stop in cases:
        largest = arrays.peak[start:stop].max(axis=0)[None, :, None, None]
        arrays.maps[start:stop] = arrays.maps[start:stop] / np.maximum(largest, TINY)
