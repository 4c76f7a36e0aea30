"""The step of Segment Anything: maps prompt it, and the masks that it answers become the maps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from camzoo.cams.map_arrays import MapArrays
from camzoo.core.environment import installed_version
from camzoo.core.errors import ConfigError
from camzoo.core.supervision import Supervision
from camzoo.refine.prompted_masks import fitting_maps
from camzoo.refine.prompts import PromptKind, PromptSettings, prompts_of
from camzoo.refine.segment_anything import SamWeights, SegmentAnything
from camzoo.steps.base import MapStep, StepContext, StepReport, register_step

#: Slices that are encoded at a time: on 1024 x 1024 pixels each takes as much as 16 on 256 x 256.
_BATCH: Final = 4
#: Digits of the digest of weights that stand beside a number.
_SHORT: Final = 8


@register_step("sam")
class SegmentAnythingStep(MapStep):
    """Lets each map prompt Segment Anything 2, whose mask becomes the new map.

    Per slice and organ that its tag names, the map's maximum is a point inside the organ, its
    minimum and the maxima of other organs are points outside, and a box surrounds what is above a
    share of the maximum. Of the masks that come back, the one with the best expected quality times
    overlap with the map is taken, as a probability: the threshold is chosen as for any other map,
    and where several organs claim a pixel, the largest map has it.

    Segment Anything learnt from a billion masks of other images (SA-1B and SA-V), so that this is
    no learning from tags alone: rows say ``image+sam`` and are not ranked with the others. Whether
    its images hold slices like those at hand is known of none of its weights. Nothing is trained.

    What differs from the paper, which has no step like this and leaves prompts to its users:

    - The most and the least likely place as a point inside and one outside are PerSAM's (Zhang et
      al., ICLR 2024), which takes likeness to a reference where this takes the map.
    - Boxes around salient places are MedCLIP-SAM's (Koleilat et al., MICCAI 2024). Its CRF before
      the box is left out: `[aff]` or another step in front of this one takes that part.
    - Of several masks the paper takes the one with the highest expected quality. Here that is
      multiplied by the overlap with the map, which is what the question was about.
    - Prompts with fewer points than others are filled up with the library's empty points. They say
      nothing, but are tokens all the same, so that the answer moves by a little.

    Args:
        weights: A folder in the format of transformers, or OWNER/MODEL of the hub that it reads.
        revision: Commit of a model of the hub, all 40 digits.
        prompts: "points", "box", or "both".
        points: Most points inside an organ.
        apart: Least distance between those, as a share of the slice's side.
        level: Share of a map's maximum. Further points lie above it, the box surrounds what does,
            and masks are compared with that.
        outside: Whether there are points outside, too.
    """

    paper = "Ravi et al., arXiv 2408.00714 (SAM 2), prompted as by PerSAM and MedCLIP-SAM"
    cost = (
        "Segment Anything 2, which learnt masks of other images: 1 forward of its encoder per "
        "slice with an organ, 1 of its decoder per organ"
    )

    def __init__(
        self,
        weights: str = "",
        revision: str = "",
        prompts: PromptKind = "both",
        points: int = 1,
        apart: float = 0.1,
        level: float = 0.5,
        outside: bool = True,
    ) -> None:
        try:
            self._prompts = PromptSettings(prompts, points, apart, level, outside)
            self._weights = SamWeights(weights, revision) if weights or revision else None
        except ConfigError as error:
            raise ConfigError(f"sam: {error}") from error

    @property
    def supervision(self) -> Supervision:
        """Tags, and masks of other images by way of the weights."""
        return Supervision.IMAGE_SAM

    @property
    def places(self) -> Mapping[str, Path]:
        """The folder of the weights, unless they are from a hub."""
        folder = self._weights.folder if self._weights else None
        return {"weights": folder} if folder else {}

    def apply(self, source: MapArrays, context: StepContext, out: MapArrays) -> StepReport:
        """Prompt Segment Anything with the maps of all slices that show an organ.

        Raises:
            ConfigError: There are no weights, or transformers is not installed.
        """
        if self._weights is None:
            raise ConfigError(
                "sam needs weights of Segment Anything 2: cam[sam]:weights=FOLDER, or "
                "weights=OWNER/MODEL:revision=COMMIT of the hub that transformers reads"
            )
        network = SegmentAnything.load(self._weights, context.device)
        with context.reporter.stage("prompting Segment Anything") as tick:

            def answered(maps: Tensor, which: slice) -> Tensor:
                found = self._answers(maps, which, context, network)
                tick(which.stop, len(context.slices))
                return found

            context.rewrite(source, out, answered)
        notes = [f"sha256 {digest[:_SHORT]}" for digest in self.contents.values()]
        facts = {
            "weights": self.contents.get("weights", self._weights.revision),
            "transformers": installed_version("transformers"),
        }
        return StepReport(tuple(notes), {"sam": facts})

    def _answers(
        self, maps: Tensor, which: slice, context: StepContext, network: SegmentAnything
    ) -> Tensor:
        """New maps [b, C, s, s] of some slices; those without an organ are not encoded."""
        found = torch.zeros_like(maps)
        shown = np.flatnonzero(context.slices.tags[which].any(axis=1))
        for start in range(0, len(shown), _BATCH):
            rows = shown[start : start + _BATCH]
            here = torch.from_numpy(rows).to(maps.device, non_blocking=True)
            asking = maps[here]
            answers = network.ask(
                context.slices.grey(rows + which.start, context.device),
                prompts_of(asking, self._prompts),
                context.training.precision,
            )
            found[here] = fitting_maps(answers, asking, self._prompts.level)
        return found
