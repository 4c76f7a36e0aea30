"""The contract of a CAM method: a name, a few facts about it, and one function of a FeatureView."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

import torch
from torch import Tensor

from camzoo.cams.registry import cams
from camzoo.cams.view.fusion import fuse
from camzoo.core.supervision import Supervision

if TYPE_CHECKING:
    from camzoo.cams.view.feature_view import FeatureView
    from camzoo.data.slices import TaggedSlices
    from camzoo.network.backbone import Classifier


@dataclass(frozen=True)
class FitContext:
    """All that a method which must be trained gets to see. There are no masks in it.

    Attributes:
        classifier: The trained classifier of the run; to be copied, never changed.
        slices: The tagged training slices.
        generator: Seeded by the run; the only source of randomness a method may use.
        device: Where the classifier is, and where to compute.
        layer: Target layer of the views that maps will be made from, None for the default.
        side: Side in pixels of the network's input in those views, None for the slices' own.
    """

    classifier: Classifier
    slices: TaggedSlices
    generator: torch.Generator
    device: torch.device
    layer: str | None = None
    side: int | None = None


class CamMethod(ABC):
    """Turns what a classifier saw in a batch into one saliency map per image and class.

    The pipeline calls the method once per view (scale, flip) and does all the rest: it resizes and
    sums the views, applies the ReLU, sets absent classes to zero and normalises. A method returns
    raw evidence: larger means more, negative values allowed, no resizing.

    Attributes:
        name: Its name in the registry, set on registration.
        paper: First author, venue and year, and which equation is implemented.
        supervision: What it may see while it learns.
        cost: What it runs per image besides the pass that all methods share, in words.
        class_specific: False where all classes get the same map.
        control: True for maps that do not depend on the classifier's opinion of the image.
        min_classes: How many classes it takes to make sense.
        needs_fit: True where :meth:`fit` must run before :meth:`saliency`.
        needs_attention: True where the network has to be a vision transformer.
        tuned: What was compared by means of masks before a setting became the default, and whose
            masks; empty where nothing was.
    """

    name: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    supervision: ClassVar[Supervision] = Supervision.IMAGE
    cost: ClassVar[str] = ""
    class_specific: ClassVar[bool] = True
    control: ClassVar[bool] = False
    min_classes: ClassVar[int] = 1
    needs_fit: ClassVar[bool] = False
    needs_attention: ClassVar[bool] = False
    tuned: ClassVar[str] = ""

    @abstractmethod
    def saliency(self, view: FeatureView) -> Tensor:
        """Return raw maps, shape [B, C, h, w], on the view's device, float32.

        The grid is that of the features, or for methods that do not read them that of the images.
        """

    def __call__(self, view: FeatureView) -> Tensor:
        """Return the maps of a view in full precision, those of several layers fused.

        The network's own passes keep the autocast that the view was made under.
        """
        with torch.autocast(view.images.device.type, enabled=False):
            maps = [self.saliency(layer) for layer in view.layers]
        return maps[0] if len(maps) == 1 else fuse(maps, view.viewer.fusion)

    def fit(self, context: FitContext) -> None:  # noqa: ARG002
        """Learn from tagged slices; called once, before any saliency, where ``needs_fit``."""
        if self.needs_fit:
            raise NotImplementedError(f"{type(self).__name__} says needs_fit but has no fit()")


M = TypeVar("M", bound=type[CamMethod])


def register_cam(name: str) -> Callable[[M], M]:
    """Class decorator that makes a :class:`CamMethod` known to the whole program as ``name``.

    Raises:
        ConfigError: The name is taken, or the class is no method.
    """
    return cams.register(name)
