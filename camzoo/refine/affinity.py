"""Aff, the refinement of C-CAM and IRNet: learn edges from confident pixels, walk up to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Unpack

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from camzoo.config import Precision, TrainingConfig
from camzoo.core.errors import ConfigError, DataError
from camzoo.core.progress import Tick, silent
from camzoo.data.slices import TaggedSlices
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import Session, minimise
from camzoo.learning.objectives import LabelLoss, Loss
from camzoo.learning.recipe import sgd
from camzoo.refine.affinity_loss import affinity_loss
from camzoo.refine.boundary import STRIDE, BoundaryNet, find_edges
from camzoo.refine.confidence import ConfidenceSettings, confident_labels
from camzoo.refine.crf import CrfSettings
from camzoo.refine.neighbours import half_plane
from camzoo.refine.pair_affinity import affinity_from_edges
from camzoo.refine.random_walk import random_walk
from camzoo.refine.scale import LINEAGE_SIDE, pair_radius


@dataclass(frozen=True)
class AffinitySettings:
    """Parameters of Aff, by default those of C-CAM's lineage for MR.

    The lineage is IRNet (Ahn et al., CVPR 2019) as C-CAM's authors use it (Volume-C-CAM). IRNet's
    own values, for photographs, are 3 epochs of 32 and 2^8 steps.

    Attributes:
        confidence: Which pixels edges are learnt from.
        training: Recipe of the boundary network, whose trunk is not trained: all of it is head.
            Edges have no side: unless ``flip`` is "never", slices are mirrored.
        training_radius: Radius of the pairs that are learnt from, in pixels of the edge map.
        radius: Radius of the pairs of the walk, likewise.
        beta: Exponent of the affinities.
        exp_times: The walk takes 2 to the power of this many steps.
    """

    confidence: ConfidenceSettings = field(default_factory=ConfidenceSettings)
    training: TrainingConfig = field(default_factory=lambda: boundary_recipe(LINEAGE_SIDE))
    training_radius: int = 10
    radius: int = 5
    beta: float = 10.0
    exp_times: int = 4

    def __post_init__(self) -> None:
        half_plane(min(self.radius, self.training_radius))  # refuses what holds no pair
        if self.beta <= 0 or self.exp_times < 0:
            raise ConfigError(
                "beta of the affinities must be positive and exp_times 0 or more, got "
                f"{self.beta} and {self.exp_times}"
            )
        if self.training.crop % STRIDE:
            raise ConfigError(
                f"the crop of the boundary network must be a multiple of {STRIDE} pixels, "
                f"got {self.training.crop}"
            )

    @classmethod
    def on_slices(
        cls,
        side: int,
        *,
        confidence: tuple[float, float],
        background_crf: int,
        walk: tuple[float, int],
        epochs: int,
        steps: int = 0,
        precision: Precision = "auto",
    ) -> AffinitySettings:
        """Take the lineage's distances and rounds along to slices of another side.

        Args:
            side: Side of the slices in pixels; distances are meant for 512.
            confidence: Above the first a map is an organ for sure; where all maps are at or below
                the second there is none for sure.
            background_crf: Rounds of the CRF of the background; the foreground's is one.
            walk: Exponent of the affinities, and of 2 for the number of steps.
            epochs: Passes of the boundary network over its slices.
            steps: Fewest steps of it.
            precision: Precision of that network.

        Raises:
            ConfigError: A value is out of its range.
        """
        foreground, background = confidence
        beta, exp_times = walk
        return cls(
            confidence=ConfidenceSettings(
                foreground=foreground,
                background=background,
                foreground_crf=CrfSettings(iterations=1).on_slices(side),
                background_crf=CrfSettings(iterations=background_crf).on_slices(side),
            ),
            training=boundary_recipe(side, epochs=epochs, steps=steps, precision=precision),
            training_radius=pair_radius(10, side),
            radius=pair_radius(5, side),
            beta=beta,
            exp_times=exp_times,
        )


def boundary_recipe(
    side: int, *, epochs: int = 6, steps: int = 0, precision: Precision = "auto"
) -> TrainingConfig:
    """How a boundary network learns: batches of 16 at 0.1; views as large as the slices.

    Args:
        side: Side of the slices, which are shown at half to one and a half of their size.
        epochs: How often they are seen.
        steps: Fewest steps; few slices are seen more often.
        precision: Precision of the network.
    """
    return TrainingConfig(
        epochs=epochs, steps=steps, batch=16, lr=0.1, head_factor=1.0, precision=precision,
        crop=max(STRIDE, side // STRIDE * STRIDE), resize=(side // 2, side * 3 // 2),
    )  # fmt: skip


def label_slices(
    maps: NDArray[np.float16],
    slices: TaggedSlices,
    settings: ConfidenceSettings,
    *,
    device: torch.device,
    batch: int = 16,
    tick: Tick = silent,
) -> NDArray[np.uint8]:
    """Label the confident pixels of slices on their own grid.

    Args:
        maps: Normalised and gated by tags, [N, C, s, s]; enlarged to the grid of the slices.
        slices: N slices.
        settings: Thresholds and CRFs.
        device: Where to compute.
        batch: Slices at a time.
        tick: Told (slices done, slices in all).

    Returns:
        [N, S, S]: 0 background, 1..C classes, UNKNOWN.
    """
    labels = np.empty((len(slices), slices.size, slices.size), np.uint8)
    for which, fine, tags, grey in enlarged_parts(maps, slices, device, batch=batch, tick=tick):
        labels[which] = confident_labels(fine, tags, grey, settings).cpu().numpy()
    return labels


def enlarged_parts(
    maps: NDArray[np.float16],
    slices: TaggedSlices,
    device: torch.device,
    *,
    batch: int = 16,
    tick: Tick = silent,
) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """Walk through slices with their maps on the grid of the slices.

    Args:
        maps: [N, C, s, s].
        slices: N slices.
        device: Where all tensors go.
        batch: Slices at a time.
        tick: Told (slices done, slices in all) when a part has been worked on.

    Yields:
        Which slices; maps float32 [b, C, S, S]; tags [b, C]; slices on [0, 1], [b, S, S].
    """
    for which, grey, tags in slices.batches(batch, device):
        coarse = torch.from_numpy(np.array(maps[which])).to(device).float()
        fine = F.interpolate(coarse, grey.shape[1:], mode="bilinear", align_corners=False)
        yield which, fine, tags, grey
        tick(which.stop, len(slices))


def boundary_objective(
    network: BoundaryNet, labels: NDArray[np.uint8], recipe: TrainingConfig, loss: Loss
) -> LabelLoss:
    """Loss of a boundary network on labels of pixels, which have no side.

    Args:
        network: What learns.
        labels: uint8 [N, s, s], any side: UNKNOWN where nothing is known.
        recipe: Ranges of the views and precision; unless its ``flip`` is "never", slices are
            mirrored.
        loss: Compares logits of edges [B, h, w] and labels on their grid.
    """
    ranges = Augmentation.of(recipe, sided=False)
    return LabelLoss(network, labels, ranges, recipe.precision, recipe.crop // STRIDE, loss)


def fit_boundary(
    network: BoundaryNet,
    slices: TaggedSlices,
    labels: NDArray[np.uint8],
    settings: AffinitySettings,
    **session: Unpack[Session],
) -> list[float]:
    """Train a boundary network in place on the labels of confident pixels (IRNet).

    Args:
        network: Moved to the device.
        slices: What to learn from; the lineage takes slices that show an organ.
        labels: Labels of their confident pixels, [N, s, s], any side: 0, 1..C, UNKNOWN.
        settings: Recipe and radius.
        **session: Seed, device, checkpoint and tick (:class:`~camzoo.learning.loop.Session`).

    Returns:
        Mean loss of every epoch.

    Raises:
        DataError: No slices, or labels of another number of slices.
        CamzooError: The loss is no longer finite.
    """
    if not len(slices) or len(slices) != len(labels):
        raise DataError(
            "a boundary network learns from one label per slice and one slice or more, got "
            f"{len(slices)} slices and {len(labels)} labels"
        )

    def loss(logits: Tensor, target: Tensor, _tags: Tensor) -> Tensor:
        edges = torch.sigmoid(logits)
        return affinity_loss(affinity_from_edges(edges, settings.training_radius), target)

    objective = boundary_objective(network, labels, settings.training, loss)
    trained = minimise(objective, network, slices, sgd(settings.training), **session)
    return [epoch.loss for epoch in trained.epochs]


def refine_slices(
    maps: Tensor, grey: Tensor, network: BoundaryNet, settings: AffinitySettings
) -> Tensor:
    """Spread maps of slices up to the edges that a network finds in them.

    Args:
        maps: Non-negative, gated by tags, [B, C, s, t].
        grey: The slices on [0, 1], [B, H, W], on the device of the network.
        network: Trained; runs at the precision of its recipe.
        settings: Settings of the walk, with that recipe.

    Returns:
        As of :func:`refine_maps`.
    """
    edges = find_edges(network, grey, precision=settings.training.precision)
    return refine_maps(maps, edges, settings)


def refine_maps(maps: Tensor, edges: Tensor, settings: AffinitySettings) -> Tensor:
    """Spread maps up to edges (IRNet): resize, times 1 - edge, walk, enlarge.

    Args:
        maps: Non-negative, gated by tags, [B, C, s, t].
        edges: Probability of edges, [B, h, w]; the walk runs on their grid.
        settings: Settings of the walk.

    Returns:
        Evidence to be normalised, float32 [B, C, s, t]; maps that were empty stay so.
    """
    size, grid = maps.shape[2:], edges.shape[1:]
    coarse = F.interpolate(maps.float(), grid, mode="bilinear", align_corners=False, antialias=True)
    walked = random_walk(
        coarse * (1 - edges[:, None]),
        affinity_from_edges(edges, settings.radius),
        beta=settings.beta,
        steps=2**settings.exp_times,
    )
    return F.interpolate(walked, size, mode="bilinear", align_corners=False)
