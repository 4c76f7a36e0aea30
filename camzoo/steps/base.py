"""Steps: what may follow a CAM method, from its finished maps to better ones.

A :class:`CamMethod` sees one view of the shared classifier. A step sees the finished maps of all
slices and may train something of its own: the parts of C-CAM are steps, and so is the affinity
refinement. Steps are put behind any method by name, as in ``cam[cc,ac,aff]``
(:mod:`camzoo.steps.chain`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camzoo.cams.finishing import rewrite
from camzoo.cams.map_arrays import MapArrays
from camzoo.core.checksums import content_digest
from camzoo.core.supervision import Supervision
from camzoo.steps.registry import steps

if TYPE_CHECKING:
    from camzoo.config import BackboneConfig, MapsConfig, TrainingConfig
    from camzoo.core.progress import Reporter
    from camzoo.core.spec import Spec
    from camzoo.data.slices import TaggedSlices
    from camzoo.network.backbone import Classifier


@dataclass(frozen=True)
class StepContext:
    """All that a step gets to see. There are no masks in it but those its supervision allows.

    Attributes:
        slices: All slices of the data set with their tags, in the order of the maps.
        train: Rows of ``slices`` that are training slices, [n], ascending.
        method: The CAM method at the head of the chain.
        base: Its maps, [N, C, s, s].
        classifier: The classifier they were made from, on ``device``; to be copied, never changed.
        backbone: Settings of the classifier's network.
        training: Settings of its training.
        pipeline: Settings of the maps.
        seed: Seed of the cell.
        device: Where to compute.
        folder: Kept with the result; for networks and the like.
        reporter: Who is told about progress.
        reference: Gives the reference labels of the training slices on a square grid of the given
            side, uint8 [n, side, side]. Raises :class:`~camzoo.core.errors.FirewallError` unless
            the step's supervision opens masks.
    """

    slices: TaggedSlices
    train: NDArray[np.int64]
    method: Spec
    base: MapArrays
    classifier: Classifier
    backbone: BackboneConfig
    training: TrainingConfig
    pipeline: MapsConfig
    seed: int
    device: torch.device
    folder: Path
    reporter: Reporter
    reference: Callable[[int], NDArray[np.uint8]]

    @property
    def positives(self) -> NDArray[np.int64]:
        """Rows of the training slices that show an organ."""
        return self.train[self.slices.tags[self.train].any(axis=1)]

    def rewrite(
        self, source: MapArrays, out: MapArrays, change: Callable[[Tensor, slice], Tensor]
    ) -> None:
        """Change finished maps part by part (:func:`camzoo.cams.finishing.rewrite`)."""
        rewrite(
            source,
            self.slices,
            out,
            change,
            normalisation=self.pipeline.normalisation,
            device=self.device,
        )


@dataclass(frozen=True)
class StepReport:
    """What a step says besides its maps.

    Attributes:
        notes: Facts a reader must see beside the number ("attention constant"); they stand in the
            variant of the row.
        facts: Everything else worth keeping, as JSON.
    """

    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class MapStep(ABC):
    """Turns the finished maps of all slices into other maps.

    The constructor takes the settings of the step as keyword arguments with defaults, checks them,
    and raises :class:`~camzoo.core.errors.ConfigError` for values that make no sense.

    Attributes:
        name: Its name in the registry, set on registration.
        paper: First author, venue and year, and which equation is implemented.
        cost: What it runs besides the maps that come in, in words.
        remakes: True where the step makes maps anew and does not read those that come in: it may
            only be the first of its chain.
        control: True for maps that do not depend on the classifier's opinion of the image.
        tuned: What was compared by means of masks before a setting became the default, and whose
            masks; empty where nothing was.
    """

    name: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    cost: ClassVar[str] = ""
    remakes: ClassVar[bool] = False
    control: ClassVar[bool] = False
    tuned: ClassVar[str] = ""

    @property
    def supervision(self) -> Supervision:
        """What the step may see with its settings."""
        return Supervision.IMAGE

    @property
    def places(self) -> Mapping[str, Path]:
        """Files and folders that settings name, by setting.

        What is in them counts for the maps, and not where they lie: keys of results have their
        digests, and rows and manifests only their names.
        """
        return {}

    @cached_property
    def contents(self) -> Mapping[str, str]:
        """Digests of what is at :attr:`places`, by setting; read once."""
        return {setting: content_digest(path) for setting, path in self.places.items()}

    @abstractmethod
    def apply(self, source: MapArrays, context: StepContext, out: MapArrays) -> StepReport:
        """Fill ``out`` (maps, status, peak) from ``source``; both are in the order of the slices.

        Maps that come in are gated and normalised, and maps that leave must be: non-negative, zero
        where a class is absent, without NaN. :meth:`StepContext.rewrite` sees to that.
        """


S = TypeVar("S", bound=type[MapStep])


def register_step(name: str) -> Callable[[S], S]:
    """Class decorator that makes a :class:`MapStep` known to the whole program as ``name``.

    Raises:
        ConfigError: The name is taken, or the class is no step.
    """
    return steps.register(name)
