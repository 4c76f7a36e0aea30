"""Controls that use the context map by itself: what is left of C-CAM without its causal words."""

from __future__ import annotations

import torch
from torch import Tensor

from camzoo.cams.map_arrays import MapArrays
from camzoo.core.errors import ConfigError
from camzoo.core.supervision import Supervision
from camzoo.steps.base import MapStep, StepContext, StepReport, register_step
from camzoo.steps.ccam.context_source import ContextSource, MapKind
from camzoo.steps.ccam.global_context import resized


class _Spatial(MapStep):
    """A step that mixes maps and context, each class of it divided by its maximum."""

    def __init__(self, name: str, kind: str, threshold: float) -> None:
        self._source = ContextSource(name, kind, threshold)

    @property
    def supervision(self) -> Supervision:
        """Tags for map A, masks for map B."""
        return self._source.supervision

    def apply(self, source: MapArrays, context: StepContext, out: MapArrays) -> StepReport:
        """Mix, gate and normalise."""
        counted = self._source.context_map(context)
        frequency = counted.frequency(per_class=True).to(context.device)
        prior = resized(frequency[None], source.maps.shape[-1])
        unit = prior / prior.amax(dim=(2, 3), keepdim=True).clamp_min(torch.finfo(prior.dtype).tiny)
        context.rewrite(source, out, lambda maps, _: self._mixed(maps, unit))
        return StepReport(facts={"never_found": list(counted.never_found)})

    def _mixed(self, maps: Tensor, prior: Tensor) -> Tensor:
        raise NotImplementedError


@register_step("prior")
class PriorAlone(_Spatial):
    """The context map in the place of every map: how much of a method is the prior.

    Args:
        map: "A" predictions, "B" references (an oracle).
        threshold: Background threshold of the coarse masks of map A.
    """

    remakes = True
    control = True
    paper = "M_GC of Chen et al., CVPR 2022, eq. 1, alone"
    cost = "nothing"

    def __init__(self, map: MapKind = "A", threshold: float = 0.5) -> None:  # noqa: A002
        super().__init__("prior", map, threshold)

    def _mixed(self, maps: Tensor, prior: Tensor) -> Tensor:
        return prior.expand(len(maps), -1, -1, -1)


@register_step("blend")
class Blend(_Spatial):
    """Adds the context map with a fixed weight, CAM + weight * M_GC: no attention, no retraining.

    Args:
        weight: Weight of the context, both divided by their maxima.
        map: "A" predictions, "B" references (an oracle).
        threshold: Background threshold of the coarse masks of map A.
    """

    paper = "control: additive spatial prior"
    cost = "1 sum per map"

    def __init__(
        self,
        weight: float = 0.3,
        map: MapKind = "A",  # noqa: A002
        threshold: float = 0.5,
    ) -> None:
        if weight < 0:
            raise ConfigError(f"blend: weight must not be negative, got {weight}")
        super().__init__("blend", map, threshold)
        self._weight = weight

    def _mixed(self, maps: Tensor, prior: Tensor) -> Tensor:
        return maps + self._weight * prior
