"""The classifier of C-CAM: P-CAM with one more channel that holds the blended context map."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.cams.base import CamMethod
from camzoo.cams.view.feature_view import FeatureView
from camzoo.config import Precision
from camzoo.learning.augmentation import Augmentation, augment_planes
from camzoo.network.backbone import Classifier, Trainable
from camzoo.network.precision import autocast
from camzoo.steps.ccam.category import CategoryAttention, blend


class CausalClassifier(Trainable):
    """P-CAM's trunk with a fresh head that also weighs the blended context map (eq. 3).

    Args:
        classifier: P-CAM, which is copied; its head starts anew.
        attention: Phi and Theta.
        seed: Seed of the head.

    Attributes:
        classifier: The copy.
        weight: The head's weight of the added channel for each class, [C].
    """

    def __init__(self, classifier: Classifier, attention: CategoryAttention, seed: int) -> None:
        super().__init__()
        # Other maps may have been made on a device, where the generator could not fill the head.
        self.classifier = copy.deepcopy(classifier).cpu()
        self.attention = attention
        generator = torch.Generator().manual_seed(seed)
        head = self.classifier.head.weight
        nn.init.normal_(head, std=0.01, generator=generator)  # type: ignore[arg-type]
        self.weight = nn.Parameter(0.01 * torch.randn(len(head), generator=generator))  # type: ignore[arg-type]

    @property
    def fresh(self) -> list[nn.Parameter]:
        """Parameters that start anew, and learn faster."""
        return [*self.classifier.head.parameters(), self.weight, *self.attention.parameters()]

    def forward(self, images: Tensor, coarse: Tensor, context: Tensor) -> Tensor:
        """Return logits [B, C].

        Args:
            images: Normalised, [B, channels, H, W].
            coarse: Coarse masks [B, g, g].
            context: M_GC as each slice sees it, [B, C, g, g].
        """
        with torch.autocast(images.device.type, enabled=False):
            prior = blend(self.attention(coarse, context), context).mean(dim=(1, 2))
        logits: Tensor = self.classifier(images) + self.weight * prior[:, None]
        return logits


@dataclass(frozen=True)
class CausalLoss:
    """Cross-entropy on tags of a :class:`CausalClassifier` that sees random views.

    Attributes:
        network: What learns.
        coarse: Coarse masks of the slices, uint8 [n, g, g].
        context: M_GC [C, g, g].
        aligned: Whether M_GC is cropped and mirrored with the slice. The authors' later code leaves
            it as it is, so that it lies on another part of the body in every view.
        ranges: What views are drawn from.
        precision: Precision of the network.
    """

    network: CausalClassifier
    coarse: Tensor
    context: Tensor
    aligned: bool
    ranges: Augmentation
    precision: Precision

    def __call__(
        self, images: Tensor, indices: NDArray[np.int64], tags: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the loss and the logits of a batch."""
        views, coarse, context = self._views(images, indices, generator)
        with autocast(images.device, self.precision):
            logits = self.network(self.network.classifier.normalise(views), coarse, context)
        return F.binary_cross_entropy_with_logits(logits.float(), tags), logits

    def _views(
        self, images: Tensor, indices: NDArray[np.int64], generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Random views of slices, of their coarse masks and of the context map."""
        classes = len(self.context)
        fixed = self.context.expand(len(images), -1, -1, -1)
        one_hot = F.one_hot(self.coarse[indices].long(), classes + 1).permute(0, 3, 1, 2)[:, 1:]
        planes = torch.cat([one_hot.to(fixed), fixed], dim=1)
        views, planes = augment_planes(images, planes, self.ranges, generator)
        moved = planes[:, classes:] if self.aligned else fixed
        return views, numbered(planes[:, :classes]), moved


def numbered(shares: Tensor) -> Tensor:
    """From shares of the classes 1 to C [B, C, g, g] to the number of the largest, background 0."""
    background = 1 - shares.sum(dim=1, keepdim=True)
    return torch.cat([background, shares], dim=1).argmax(dim=1)


class CausalCam(CamMethod):
    """Adds the weighted context to the map that a method reads off the retrained trunk.

    For CAM that is the CAM of the head with the added channel: sum_k w_ck F_k + w_c M_c.

    Args:
        method: CAM method that reads the trunk.
        weight: Weight of the added channel for each class, [C].
        shares: Attention of every slice, [N, C].
        context: M_GC, [C, g, g].
        aligned: Whether a mirrored view gets a mirrored prior.
    """

    def __init__(
        self, method: CamMethod, weight: Tensor, shares: Tensor, context: Tensor, *, aligned: bool
    ) -> None:
        self._method, self._weight = method, weight
        self._shares, self._context, self._aligned = shares, context, aligned
        self._strength = Strength()

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the map with its prior, on the grid of the map."""
        maps = self._method.saliency(view).float()
        prior = torch.einsum("bc,cyx->byx", self._shares[view.rows], self._context)
        if view.mirrored and self._aligned:
            prior = prior.flip(-1)
        # Antialiased: the logit holds the mean of all of M_c, and the map must agree with it.
        added = F.interpolate(prior[:, None], size=maps.shape[2:], mode="bilinear", antialias=True)
        added = self._weight[None, :, None, None] * added
        self._strength.add(added, maps)
        return maps + added

    @property
    def ratio(self) -> list[float]:
        """How strong the prior is: sum over views of |w_c| max M_c, over that of max map, [C]."""
        return self._strength.ratio()


class Strength:
    """Ratio of the largest values of two maps, over many views, kept on their device.

    A ratio of sums: a mean of ratios would be ruled by the views whose map is nearly empty.
    """

    def __init__(self) -> None:
        self._added: Tensor | None = None
        self._peaks: Tensor | None = None

    def add(self, added: Tensor, maps: Tensor) -> None:
        """Take one batch [B, C, h, w] in; maps without positive evidence are left out."""
        peak = maps.amax(dim=(2, 3))
        there = peak > 0
        added_peak = added.abs().amax(dim=(2, 3)).where(there, 0).sum(dim=0)
        peak = peak.where(there, 0).sum(dim=0)
        self._added = added_peak if self._added is None else self._added + added_peak
        self._peaks = peak if self._peaks is None else self._peaks + peak

    def ratio(self) -> list[float]:
        """Return the ratio for each class; 0 where no map had evidence."""
        if self._added is None or self._peaks is None:
            return []
        ratios = torch.where(self._peaks > 0, self._added / self._peaks, 0)
        return [float(ratio) for ratio in ratios]
