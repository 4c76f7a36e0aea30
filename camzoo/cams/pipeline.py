"""From saliency to maps: the same scales, flips, gating and normalisation for every method.

For each view of a batch (a scale, straight or mirrored) every method turns the shared
:class:`~camzoo.cams.view.feature_view.FeatureView` into raw saliency; it is rectified, un-mirrored,
resized and summed over views (IRNet). Then classes absent from the slice's tags are emptied and
each class is normalised once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from camzoo.cams.base import CamMethod
from camzoo.cams.view.feature_view import FeatureView, Viewer
from camzoo.cams.view.model_seal import ModelSeal
from camzoo.config import MapsConfig, Precision
from camzoo.core.errors import ConfigError
from camzoo.core.precision import autocast
from camzoo.core.progress import Tick, silent
from camzoo.data.slices import TaggedSlices
from camzoo.learning.augmentation import mirrored

if TYPE_CHECKING:
    from camzoo.network.backbone import Classifier

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


#: Told the name of a method, and what it changed that others read.
Blame = Callable[[str, str], None]


def _refuse(name: str, changed: str) -> None:
    raise ConfigError(f"{name} {harm(changed)}")


def harm(changed: str) -> str:
    """Say what a method did that it must not do, and what to do instead."""
    return f"changed {changed}, which other methods read; let it work on a copy"


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
    seal: ModelSeal | None = None,
    blame: Blame = _refuse,
    tick: Tick = silent,
) -> None:
    """Compute the maps of all ``methods`` for all ``slices``, with one forward pass per view.

    No method can change what another sees: a view that was written into is made anew. Where
    somebody wrote past all that torch counts, or with a ``seal`` into the classifier, all methods
    are asked again, each with a view of its own and the classifier as it was.

    Args:
        classifier: Trained.
        methods: By name; fitted where they need it.
        slices: Images and tags; tags gate the maps.
        config: Views and normalisation.
        sinks: By the same names: where the maps go.
        layer: Target layer by timm's name, or None for what the pooling sees.
        precision: Of the passes.
        device: Where to compute.
        seal: Of the classifier.
        blame: Told the name of a method that did so, and what it changed; its maps of that view
            are empty. By default that is an error.
        tick: Told (batches done, batches in all).

    Raises:
        ConfigError: The network gives no maps at this layer.
    """
    classifier.to(device).eval()
    viewer = Viewer(classifier.model, layer)
    flip = mirrored(config.flip, sided=slices.sided)
    total = -(-len(slices) // config.batch)
    for done, (which, images, tags) in enumerate(slices.batches(config.batch)):
        grey = images.to(device, non_blocking=True).float() / 255
        gates = tags.to(device, non_blocking=True) > 0
        with autocast(device, precision):
            look = _Look(classifier, viewer, which, grey, config)
            evidence = _summed_views(look, _Asked(methods, seal, blame), flip=flip)
        for name, summed in evidence.items():
            maps, status, peak = finish(summed, gates, config.normalisation)
            sinks[name].write(which, maps, status, peak)
        tick(done + 1, total)


@dataclass(frozen=True)
class _Look:
    """Makes the views of a batch, from its slices, as often as it is asked."""

    classifier: Classifier
    viewer: Viewer
    which: slice
    grey: Tensor
    config: MapsConfig

    def __call__(self, scale: float, *, mirror: bool) -> FeatureView:
        images = self.classifier.normalise(resize(self.grey, input_side(self.config.side, scale)))
        view = self.viewer(images.flip(-1) if mirror else images)
        for layer in view.layers:
            layer.rows, layer.mirrored = self.which, mirror
        return view


def _summed_views(look: _Look, asked: _Asked, *, flip: bool) -> dict[str, Tensor]:
    """Rectified saliency summed over scales and flips: name -> [B, C, size, size], float32."""
    summed: dict[str, Tensor] = {}
    size = (look.config.size, look.config.size)
    for scale in look.config.scales:
        for mirror in (False, True) if flip else (False,):
            answers = asked.about(partial(look, scale, mirror=mirror))
            for name, answer in answers.items():
                saliency = answer.relu()
                saliency = saliency.flip(-1) if mirror else saliency
                full = F.interpolate(saliency, size=size, mode="bilinear", align_corners=False)
                summed[name] = summed[name] + full if name in summed else full
    return summed


@dataclass(frozen=True)
class _Asked:
    """All methods, asked one after another about a view that none can spoil for the next."""

    methods: Mapping[str, CamMethod]
    seal: ModelSeal | None
    blame: Blame

    def about(self, look: Callable[[], FeatureView]) -> dict[str, Tensor]:
        """Return each method's saliency."""
        view = self._before_all(look)
        answers = {}
        for name, method in self.methods.items():
            answers[name] = method(view)
            if view.changes():
                view = look()
        if self._changes(view):
            # Somebody changed the classifier, or wrote where torch does not count: others saw it.
            return self._one_by_one(look)
        return answers

    def _one_by_one(self, look: Callable[[], FeatureView]) -> dict[str, Tensor]:
        """Give each method a view of its own, and look at everything after each."""
        answers = {}
        for name, method in self.methods.items():
            self._restore()
            view = self._before_all(look)
            answers[name] = method(view)
            changed = self._changes(view)
            if changed:
                self.blame(name, changed)
                answers[name] = torch.zeros_like(answers[name])
        self._restore()
        return answers

    def _before_all(self, look: Callable[[], FeatureView]) -> FeatureView:
        """Make a view while nothing has been harmed."""
        view = look()
        if self.seal is not None and self.seal.changes():
            self.seal.renew()  # networks may remember things of their own passes
        return view

    def _changes(self, view: FeatureView) -> str:
        found = [view.changes(thorough=True)]
        if self.seal is not None:
            found.append(self.seal.changes(thorough=True))
        return " and ".join(what for what in found if what)

    def _restore(self) -> None:
        if self.seal is not None:
            self.seal.restore()


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
