"""Where the context map of a step comes from: predictions (A) or reference masks (B)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from camzoo.core.errors import ConfigError
from camzoo.core.supervision import Supervision
from camzoo.steps.base import StepContext
from camzoo.steps.ccam.global_context import ContextMap, coarse_masks, context_map

MapKind = Literal["A", "B"]


@dataclass(frozen=True)
class ContextSource:
    """Makes the context map that a step asks for.

    Attributes:
        step: Name of the step, for messages.
        kind: "A" from coarse masks that the head of the chain predicts, "B" from reference masks.
            Whether the paper's numbers were made with A or B is not known; its authors' later code
            uses B. B is an oracle: it makes the step's supervision ``mask``.
        threshold: Background threshold of coarse masks.
    """

    step: str
    kind: str
    threshold: float

    def __post_init__(self) -> None:
        if self.kind not in get_args(MapKind):
            raise ConfigError(f"{self.step}: map is A (predictions) or B (masks), got {self.kind}")
        if not 0 < self.threshold < 1:
            raise ConfigError(
                f"{self.step}: the threshold of coarse masks lies between 0 and 1, "
                f"got {self.threshold}"
            )

    @property
    def supervision(self) -> Supervision:
        """What may be seen."""
        return Supervision.MASK if self.kind == "B" else Supervision.IMAGE

    def context_map(self, context: StepContext) -> ContextMap:
        """Count the coarse masks of the positive training slices."""
        if context.pipeline.normalisation == "none":
            raise ConfigError(
                f"{self.step}: coarse masks are maps above a share of their maximum; "
                "maps.normalisation=none leaves them on no scale"
            )
        rows = context.positives
        side = context.base.maps.shape[-1]
        if self.kind == "B":
            tagged = context.slices.tags[context.train].any(axis=1)
            labels = context.reference(side)[tagged]
        else:
            labels = coarse_masks(context.base.maps, self.threshold, rows)
        return context_map(labels, context.slices.at(rows))
