"""Aff, the refinement of C-CAM and IRNet: learn edges from confident pixels, walk up to them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from camzoo.augmentation import augment_planes
from camzoo.config import TrainingConfig
from camzoo.data.labels import UNKNOWN
from camzoo.data.slices import TaggedSlices
from camzoo.errors import CamzooError, ConfigError, DataError
from camzoo.progress import Tick, silent
from camzoo.refine.affinity_loss import affinity_loss
from camzoo.refine.boundary import STRIDE, BoundaryNet
from camzoo.refine.confidence import ConfidenceSettings, confident_labels
from camzoo.refine.neighbours import half_plane
from camzoo.refine.pair_affinity import affinity_from_edges
from camzoo.refine.random_walk import random_walk
from camzoo.training import autocast, epoch_seed


def _recipe() -> TrainingConfig:
    """6 epochs of batches of 16 at 0.1; views of 512 pixels at half to one and a half the size."""
    return TrainingConfig(epochs=6, batch=16, lr=0.1, crop=512, resize=(256, 768))


@dataclass(frozen=True)
class AffinitySettings:
    """Parameters of Aff, by default those of C-CAM's lineage for MR.

    The lineage is IRNet (Ahn et al., CVPR 2019) as C-CAM's authors use it (Volume-C-CAM). IRNet's
    own values, for photographs, are 3 epochs of 32 and 2^8 steps.

    Attributes:
        confidence: Which pixels edges are learnt from.
        training: Recipe of the boundary network, whose trunk is not trained. There is no warm-up,
            clipping, resampling or learning rate of a head. Edges have no side: unless ``flip`` is
            "never", slices are mirrored.
        training_radius: Of the pairs that are learnt from, in pixels of the edge map.
        radius: Of the walk, likewise.
        beta: Exponent of the affinities.
        exp_times: The walk takes 2 to the power of this many steps.
        normalisation: "class" divides each class by its own maximum, as camzoo does for all maps;
            "image" divides all classes of a slice by their common maximum, as IRNet does.
    """

    confidence: ConfidenceSettings = field(default_factory=ConfidenceSettings)
    training: TrainingConfig = field(default_factory=_recipe)
    training_radius: int = 10
    radius: int = 5
    beta: float = 10.0
    exp_times: int = 4
    normalisation: Literal["class", "image"] = "class"

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
    for which, images, tags in slices.batches(batch):
        coarse = torch.from_numpy(np.array(maps[which])).to(device).float()
        fine = F.interpolate(coarse, images.shape[1:], mode="bilinear", align_corners=False)
        grey = images.to(device).float() / 255
        labels[which] = confident_labels(fine, tags.to(device), grey, settings).cpu().numpy()
        tick(which.stop, len(slices))
    return labels


def fit_boundary(
    network: BoundaryNet,
    slices: TaggedSlices,
    labels: NDArray[np.uint8],
    settings: AffinitySettings,
    *,
    seed: int,
    device: torch.device,
    tick: Tick = silent,
) -> list[float]:
    """Train a boundary network in place by SGD with the poly schedule (IRNet).

    Args:
        network: Moved to ``device``.
        slices: What to learn from; the lineage takes slices that show an organ.
        labels: Of their confident pixels, [N, s, s], any side: 0, 1..C, UNKNOWN.
        settings: Recipe and radius.
        seed: Of order and augmentation.
        device: Where to compute.
        tick: Told (steps done, steps in all).

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
    recipe = settings.training
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(
        network.fresh, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    steps = recipe.epochs * math.ceil(len(slices) / recipe.batch)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimiser, steps, recipe.power)
    losses, done = [], 0
    for epoch in range(recipe.epochs):
        generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
        network.train()
        total = torch.zeros((), device=device)
        for chosen in torch.randperm(len(slices), generator=generator).split(recipe.batch):
            loss = _loss(network, slices, labels, chosen, settings, generator)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.detach() * len(chosen)
            done += 1
            tick(done, steps)
        losses.append(_finite(float(total) / len(slices), epoch))
    return losses


def refine_maps(maps: Tensor, edges: Tensor, settings: AffinitySettings) -> Tensor:
    """Spread maps up to edges (IRNet): resize, times 1 - edge, walk, enlarge, normalise.

    Args:
        maps: Non-negative, gated by tags, [B, C, s, t].
        edges: Probability of edges, [B, h, w]; the walk runs on their grid.
        settings: Of the walk and the normalisation.

    Returns:
        float32 [B, C, s, t] with maxima of 1; maps that were empty stay so.
    """
    size, grid = maps.shape[2:], edges.shape[1:]
    coarse = F.interpolate(maps.float(), grid, mode="bilinear", align_corners=False, antialias=True)
    walked = random_walk(
        coarse * (1 - edges[:, None]),
        affinity_from_edges(edges, settings.radius),
        beta=settings.beta,
        steps=2**settings.exp_times,
    )
    fine = F.interpolate(walked, size, mode="bilinear", align_corners=False)
    axes = (2, 3) if settings.normalisation == "class" else (1, 2, 3)
    return fine / fine.amax(dim=axes, keepdim=True).clamp_min(torch.finfo(fine.dtype).tiny)


def _loss(
    network: BoundaryNet,
    slices: TaggedSlices,
    labels: NDArray[np.uint8],
    chosen: Tensor,
    settings: AffinitySettings,
    generator: torch.Generator,
) -> Tensor:
    """Loss of one step on random views of the chosen slices."""
    recipe, device = settings.training, network.edge.weight.device
    indices = chosen.sort().values.numpy()  # ascending: the memory map is read in order
    grey = slices.images(indices).to(device, non_blocking=True).float() / 255
    planes = torch.from_numpy(labels[indices])[:, None].to(device, non_blocking=True)
    views, target = augment_planes(
        grey,
        planes,
        recipe,
        flip=recipe.flip != "never",
        generator=generator,
        side=recipe.crop // STRIDE,
        mode="nearest",
        fill=UNKNOWN,
    )
    with autocast(device, recipe.precision):
        logits = network(views)
    affinity = affinity_from_edges(torch.sigmoid(logits.float()), settings.training_radius)
    return affinity_loss(affinity, target[:, 0])


def _finite(loss: float, epoch: int) -> float:
    if not math.isfinite(loss):
        raise CamzooError(
            f"the boundary network diverged in epoch {epoch + 1}: the loss is {loss}; "
            "lower its learning rate"
        )
    return loss
