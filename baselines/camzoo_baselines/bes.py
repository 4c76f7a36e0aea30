"""BES: the U-Net on maps that walk up to boundaries found by counting labels in windows.

Chen, Wu, Fu, Han and Zhang, Weakly supervised semantic segmentation with boundary exploration, ECCV
2020. A classifier with attention pooling gives maps; where a window holds about as much of one
label as of another there is a boundary; a network learns these, and the maps walk up to what it
finds.

What is not as in the paper:

- Both labels meet at one threshold, 0.5, where the paper leaves what lies between 0.07 and 0.30
  unknown. Without its wide CRF, which draws both to the same edge, a belt of unknown pixels is
  left around organs that no window reaches across.
- The window shrinks with the slices, from 13 pixels at 512 x 512 to 7 at 256 x 256. The shares of
  two labels then differ by at least one column of the window at a straight boundary, 1/7, which the
  paper's margin of 0.10 never allows: the margin is one column where that is more.
- CRFs, kernels and length of the walk are those of C-CAM's authors for MR, as for IRNet.
- The threshold of the walked maps is the one that is best on validation patients, not 0.25. It is
  chosen before the last CRF.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from camzoo.cams.map_arrays import MapArrays
from camzoo.cams.methods.activation import Cam
from camzoo.cams.pipeline import resize
from camzoo.core.errors import ConfigError, DataError
from camzoo.data.labels import UNKNOWN
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import require_both_tags
from camzoo.learning.objectives import ViewLoss
from camzoo.network.backbone import Classifier, build_classifier
from camzoo.network.precision import autocast
from camzoo.network.trunk_levels import starting_point
from camzoo.refine.affinity import (
    AffinitySettings,
    boundary_objective,
    label_slices,
    refine_slices,
)
from camzoo.refine.affinity_loss import mean_over
from camzoo.refine.boundary import BoundaryNet
from camzoo.refine.confidence import ConfidenceSettings
from camzoo.refine.crf import CrfSettings, mean_field, unary_from_labels
from camzoo.refine.scale import LINEAGE_SIDE, shrunk
from camzoo.segment.base import PseudoMaskBaseline, register_baseline
from camzoo.segment.maps import validated_cut
from camzoo_baselines.own_maps import own_maps_of_both, walked_maps

if TYPE_CHECKING:
    from camzoo.data.slices import TaggedSlices
    from camzoo.segment.learning_context import BaselineContext

#: Values of boundary labels besides UNKNOWN.
BACKGROUND, ORGAN, BOUNDARY = 0, 1, 2
#: Slices at a time where nothing is learnt.
_BATCH: Final = 16
#: Keeps the logarithms finite (the authors' code).
_LEAST: Final = 1e-4


@register_baseline("bes")
class Bes(PseudoMaskBaseline):
    """Cuts maps after a walk up to explored boundaries and trains the U-Net.

    Args:
        sharpness: k of the attention pooling.
        foreground: Maps above this are an organ for sure.
        background: Where all maps are at or below this there is none for sure.
        window: Side of the windows in pixels of a 512 x 512 slice.
        share: Each of two labels fills more than this share of a window on their boundary.
        margin: The two shares differ by less than this.
        beta: Exponent of the affinities.
        exp_times: The walk takes 2 to the power of this many steps.
        epochs: Epochs of the boundary network; more where they come to fewer steps than the
            recipe of the classifier asks for.
        crf_iterations: Rounds of the last CRF.

    Raises:
        ConfigError: A value is out of its range.
    """

    title = "BES"
    paper = "Chen, ECCV 2020"
    cost = "the classifier once more, a boundary network on the frozen trunk, and the U-Net"

    def __init__(
        self,
        sharpness: float = 1e-3,
        foreground: float = 0.5,
        background: float = 0.5,
        window: float = 13.0,
        share: float = 0.3,
        margin: float = 0.1,
        beta: float = 5.0,
        exp_times: int = 4,
        epochs: int = 6,
        crf_iterations: int = 1,
    ) -> None:
        if not (sharpness >= 0 and window > 0 and 0 < share < 0.5 and margin >= 0 and epochs >= 1):
            raise ConfigError(
                "bes: expected sharpness >= 0, window > 0, 0 < share < 0.5, margin >= 0 and "
                f"epochs >= 1, got {sharpness}, {window}, {share}, {margin} and {epochs}"
            )
        self._sharpness = sharpness
        self._window, self._share, self._margin = window, share, margin
        self._settings = partial(
            AffinitySettings.on_slices, confidence=(foreground, background), background_crf=1,
            walk=(beta, exp_times), epochs=epochs,
        )  # fmt: skip
        self._settings(LINEAGE_SIDE)  # a wrong value is found here
        self._last_crf = CrfSettings(iterations=crf_iterations, bilateral_sxy=20)

    def pseudo_masks(self, context: BaselineContext) -> NDArray[np.uint8]:
        """Train the classifier, then the boundary network; walk, cut and smooth."""
        classifier = self._classifier(context)
        layer = context.config.backbone.layer
        train, val = own_maps_of_both(classifier, Cam(), context, layer=layer)
        shared = context.config.training
        settings = self._settings(
            context.train.size, steps=shared.steps, precision=shared.precision
        )
        network = self._boundaries(train, settings, context, classifier)
        train = _walked(network, train, context.train, settings, context)
        val = _walked(network, val, context.val, settings, context)
        return self._smooth(validated_cut(context, train, val), context)

    def _classifier(self, context: BaselineContext) -> Classifier:
        config, slices = context.config, context.train
        require_both_tags(slices)
        classifier = build_classifier(config.backbone, len(slices.organs), seed=context.seed)
        recipe, name = config.training, "classifier with attention pooling"
        ranges = Augmentation.of(recipe, sided=slices.sided)
        loss = AttentionLoss(classifier, ranges, recipe.precision, self._sharpness)
        context.minimise(loss, classifier, slices, recipe, name=name)
        return classifier.eval()

    def _boundaries(
        self,
        maps: MapArrays,
        settings: AffinitySettings,
        context: BaselineContext,
        classifier: Classifier,
    ) -> BoundaryNet:
        """Learn boundaries on positive training slices."""
        rows = context.train.positive_rows
        slices, recipe = context.train.at(rows), settings.training
        labels = self._boundary_labels(maps.maps[rows], slices, settings.confidence, context)
        organs = len(slices.organs)
        start = starting_point(classifier, context.config.backbone, organs, seed=context.seed)
        network = BoundaryNet(start, seed=context.seed)
        loss = boundary_objective(network, labels, recipe, boundary_loss)
        context.minimise(loss, network, slices, recipe, name="boundaries")
        return network

    def _boundary_labels(
        self,
        maps: NDArray[np.float16],
        slices: TaggedSlices,
        confidence: ConfidenceSettings,
        context: BaselineContext,
    ) -> NDArray[np.uint8]:
        """Boundary labels of slices on their own grid.

        Raises:
            DataError: There is no boundary in any slice.
        """
        organs = len(slices.organs)
        side = odd(shrunk(self._window, slices.size))
        with context.reporter.stage("labels of boundaries") as tick:
            labels = label_slices(maps, slices, confidence, device=context.device, tick=tick)
        for start in range(0, len(labels), _BATCH):
            part = torch.from_numpy(labels[start : start + _BATCH]).to(context.device)
            found = boundary_labels(part, organs, side, share=self._share, margin=self._margin)
            labels[start : start + _BATCH] = found.cpu().numpy()
        if not (labels == BOUNDARY).any():
            raise DataError(
                f"no window of {side} pixels holds enough of two labels in any of {len(slices)} "
                "slices: the maps leave a belt of unknown pixels, or no organ; bring foreground "
                "and background closer together, or lower both if they are equal"
            )
        return labels

    def _smooth(self, labels: NDArray[np.uint8], context: BaselineContext) -> NDArray[np.uint8]:
        """Refine labels of positive slices by the last CRF."""
        crf = self._last_crf.on_slices(labels.shape[-1])
        smooth = labels.copy()
        rows = context.train.positive_rows
        with context.reporter.stage("the last CRF") as tick:
            for start in range(0, len(rows), _BATCH):
                part = rows[start : start + _BATCH]
                grey = context.train.grey(part, context.device)
                present = F.pad(context.train.tag_tensor(part) > 0, (1, 0), value=True)
                unary = unary_from_labels(
                    torch.from_numpy(labels[part]).to(context.device),
                    present.to(context.device),
                    ConfidenceSettings.probability,
                )
                likely = mean_field(unary, resize(grey, labels.shape[-1]), crf)
                smooth[part] = likely.argmax(dim=1).byte().cpu().numpy()
                tick(start + len(part), len(rows))
        return smooth


@dataclass(frozen=True)
class AttentionLoss(ViewLoss[Classifier]):
    """Binary cross-entropy of a classifier that pools by attention.

    Attributes:
        sharpness: k of :func:`attended`.
    """

    sharpness: float

    def on_views(self, views: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of a batch."""
        model = self.network.model
        with autocast(views.device, self.precision):
            features: Tensor = model.forward_features(self.network.normalise(views))  # type: ignore[operator]
        with torch.autocast(views.device.type, enabled=False):  # bfloat16 would round it away
            logits: Tensor = model.forward_head(attended(features, self.sharpness))  # type: ignore[operator]
        return F.binary_cross_entropy_with_logits(logits, tags), logits


def attended(features: Tensor, sharpness: float) -> Tensor:
    """Weigh the places of every channel by softmax(k F), with a mean of 1 and no gradient.

    With the paper's k = 1e-3 the weights lie within a few thousandths of 1.

    Args:
        features: F, [B, K, h, w].
        sharpness: k; 0 leaves the features as they are.

    Returns:
        float32 [B, K, h, w], whose average is what attention pooling gives.

    Raises:
        ConfigError: The features have no grid.
    """
    if features.ndim != 4:
        raise ConfigError(
            "attention pooling needs features [B, K, h, w], got "
            f"{list(features.shape)}; choose a convolutional backbone"
        )
    flat = features.detach().flatten(2).float()
    weight = torch.softmax(sharpness * flat, dim=2) * flat.shape[2]
    return features.float() * weight.view_as(features)


def boundary_labels(
    labels: Tensor, organs: int, window: int, *, share: float, margin: float
) -> Tensor:
    """Find boundaries by what the window around a pixel holds.

    With the shares P0 of the background and P1 >= P2 of the two largest organs: a boundary where
    min(P0, P1) > share and |P0 - P1| < margin, or P2 > share and P1 - P2 < margin. Else background
    or organ where its share is above twice ``share``, by twice the margin or more. Unknown pixels
    count in the window; what lies off the slice does not.

    Args:
        labels: uint8 [B, h, w]: 0 background, 1..C, UNKNOWN.
        organs: Number C of organs.
        window: Side in pixels, odd.
        share: Least share of a label on its boundary, as above.
        margin: Largest difference there, as above; at least one column of the window.

    Returns:
        uint8 [B, h, w]: BACKGROUND, ORGAN, BOUNDARY, UNKNOWN.
    """
    margin = max(margin, 1.01 / window)
    known = torch.arange(organs + 1, device=labels.device)[:, None, None] == labels[:, None]
    shares = F.avg_pool2d(
        known.float(), window, stride=1, padding=window // 2, count_include_pad=False
    )
    background = shares[:, 0]
    largest, *others = shares[:, 1:].sort(dim=1, descending=True).values.unbind(dim=1)
    apart = background - largest
    found = torch.full_like(labels, UNKNOWN)
    found[(background > 2 * share) & (apart >= 2 * margin)] = BACKGROUND
    found[(largest > 2 * share) & (-apart >= 2 * margin)] = ORGAN
    found[(torch.minimum(background, largest) > share) & (apart.abs() < margin)] = BOUNDARY
    if others:
        found[(others[0] > share) & (largest - others[0] < margin)] = BOUNDARY
    return found


def boundary_loss(logits: Tensor, labels: Tensor, _tags: Tensor) -> Tensor:
    """Push boundaries up and the inside of regions down.

    (mean over background + mean over organs of -log(1 - p)) / 2, plus the mean over boundaries of
    -log p, weighted by the root of p without a gradient: what the network does not believe counts
    less. A mean over no pixels is 0.

    Args:
        logits: [B, h, w].
        labels: What :func:`boundary_labels` gives, [B, h, w].
        _tags: Not needed.

    Returns:
        A scalar.
    """
    p = torch.sigmoid(logits).clamp(_LEAST, 1 - _LEAST)
    inside = -torch.log(1 - p)
    regions = mean_over(inside, labels == BACKGROUND) + mean_over(inside, labels == ORGAN)
    boundary = -torch.log(p) * p.detach().sqrt()
    return regions / 2 + mean_over(boundary, labels == BOUNDARY)


def odd(side: float) -> int:
    """Return 2 floor(side / 2) + 1, but at least 3: the odd number nearest to ``side``."""
    return max(3, int(side // 2) * 2 + 1)


def _walked(
    network: BoundaryNet,
    maps: MapArrays,
    slices: TaggedSlices,
    settings: AffinitySettings,
    context: BaselineContext,
) -> MapArrays:
    """Maps of all slices after the walk."""
    walk = partial(refine_slices, network=network, settings=settings)
    return walked_maps(maps, slices, context, walk, normalisation=context.config.maps.normalisation)
