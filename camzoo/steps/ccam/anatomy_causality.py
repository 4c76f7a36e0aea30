"""Anatomy causality of C-CAM (Chen et al., CVPR 2022, eqs. 4 and 5): no map where no organ is.

``M_S = 1[M_GC > 0]`` and ``CAM_ac = M_S CAM``. With a frequency map, "> 0" says that at least one
of all coarse masks had the class there. That is counted, not compared with the smallest value of
the map as in the authors' later code, which removes the wrong places once every place was hit.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from camzoo.cams.map_arrays import MapArrays
from camzoo.core.errors import ConfigError
from camzoo.core.supervision import Supervision
from camzoo.steps.base import MapStep, StepContext, StepReport, register_step
from camzoo.steps.ccam.context_source import ContextSource, MapKind
from camzoo.steps.ccam.global_context import ContextMap, resized


@register_step("ac")
class AnatomyCausality(MapStep):
    """Keeps a class's map where its context map allows it, and normalises what is left.

    Args:
        map: Coarse masks that are counted: "A" predictions, "B" references (an oracle).
        tau: Allowed is more than this share of the class's largest count; 0 is at least one slice,
            as in the paper.
        rule: "share", or "winner": allowed for a class where it has the largest share of its
            slices (compared with other classes, not with the background).
        threshold: Background threshold of the coarse masks of map A.
    """

    paper = "Chen et al., CVPR 2022, eqs. 4 and 5"
    cost = "1 product per map"

    def __init__(
        self,
        map: MapKind = "A",  # noqa: A002 - the paper's word
        tau: float = 0.0,
        rule: Literal["share", "winner"] = "share",
        threshold: float = 0.5,
    ) -> None:
        if not 0 <= tau < 1:
            raise ConfigError(f"ac: tau is a share of the largest count, 0 <= tau < 1, got {tau}")
        if rule not in ("share", "winner"):
            raise ConfigError(f"ac: rule is share or winner, got {rule!r}")
        if rule == "winner" and tau:
            raise ConfigError("ac: tau belongs to the rule share; leave one of them out")
        self._source = ContextSource("ac", map, threshold)
        self._tau, self._rule = tau, rule

    @property
    def supervision(self) -> Supervision:
        """Tags for map A, masks for map B."""
        return self._source.supervision

    def apply(self, source: MapArrays, context: StepContext, out: MapArrays) -> StepReport:
        """Multiply by the indicator."""
        counted = self._source.context_map(context)
        allowed = allowed_places(counted, self._tau, self._rule).to(context.device)
        indicator = resized(allowed[None].float(), source.maps.shape[-1])
        context.rewrite(source, out, lambda maps, _: maps * indicator)
        share = allowed.float().mean(dim=(1, 2)).tolist()
        return StepReport(facts={"allowed": share, "never_found": list(counted.never_found)})


def allowed_places(counted: ContextMap, tau: float, rule: str) -> Tensor:
    """Return M_S, bool [C, s, s] (eq. 4)."""
    counts = counted.counts[1:]
    if rule == "winner":
        share = counted.frequency(per_class=True)
        return (share == share.amax(dim=0)) & (counts > 0)
    largest = counts.amax(dim=(1, 2), keepdim=True)
    return torch.logical_and(counts > 0, counts > tau * largest)
