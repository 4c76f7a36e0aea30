"""Labels of the pixels that maps are sure of, to learn affinities from; the rest is ignored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from camzoo.core.errors import ConfigError
from camzoo.data.labels import UNKNOWN
from camzoo.refine.crf import CrfSettings, mean_field, unary_from_labels, unary_from_scores

#: Pixels whose scores are all smaller have none (AffinityNet's code).
_SCORED: Final = 1e-5


@dataclass(frozen=True)
class ConfidenceSettings:
    """What counts as confident (IRNet), by default as in C-CAM's lineage for MR.

    Attributes:
        foreground: Maps above this are an organ for sure.
        background: Where all maps are at or below this there is none for sure.
        probability: How sure the CRF takes a thresholded label to be.
        foreground_crf: Refines the labels above ``foreground``.
        background_crf: Refines the labels above ``background``.
    """

    foreground: float = 0.8
    background: float = 0.5
    probability: float = 0.7
    foreground_crf: CrfSettings = field(default_factory=lambda: CrfSettings(iterations=1))
    background_crf: CrfSettings = field(default_factory=lambda: CrfSettings(iterations=0))

    def __post_init__(self) -> None:
        if not 0 <= self.background <= self.foreground <= 1:
            raise ConfigError(
                "confident background must lie below confident foreground, both on [0, 1]; got "
                f"{self.background} and {self.foreground}"
            )


def confident_labels(
    maps: Tensor, tags: Tensor, images: Tensor, settings: ConfidenceSettings
) -> Tensor:
    """Label pixels by two thresholds, each refined by a CRF (IRNet, cam_to_ir_label).

    The label is the class where the high threshold gives one, 0 where the low one gives none
    either, and :data:`UNKNOWN` elsewhere.

    Args:
        maps: Normalised, [B, C, h, w], zero for classes that are absent.
        tags: Whether a class is in the slice, [B, C].
        images: Grey slices on [0, 1], [B, h, w], on the grid of the maps.
        settings: Thresholds and CRFs.

    Returns:
        uint8 [B, h, w]: 0 background, 1..C classes.
    """
    present = _present(tags)
    ways = (
        (settings.foreground, settings.foreground_crf),
        (settings.background, settings.background_crf),
    )
    # Where both ways are one (BES), so are their labels: the CRF is what takes the time.
    refined = {
        (threshold, crf): _refined(maps, threshold, present, images, settings.probability, crf)
        for threshold, crf in dict.fromkeys(ways)
    }
    high, low = (refined[way] for way in ways)
    sure = torch.where(low == 0, 0, UNKNOWN)
    return torch.where(high > 0, high, sure).to(torch.uint8)


def alpha_scores(
    maps: Tensor, tags: Tensor, images: Tensor, *, alpha: float, crf: CrfSettings
) -> Tensor:
    """Score the background by (1 - max_c map_c)^alpha and refine all by a CRF (AffinityNet).

    A small alpha makes much background, and what is left of the classes is confident; a large one
    makes little, and what is left of the background is.

    Args:
        maps: Maps, as :func:`confident_labels` takes them.
        tags: Likewise.
        images: Likewise.
        alpha: Exponent; 4 for confident classes and 32 for confident background in the paper. MR
            maps are broad and want smaller ones.
        crf: Kernels; the paper's are wide (sxy 80, srgb 13, 10 iterations).

    Returns:
        Probabilities [B, C + 1, h, w], background first.

    Raises:
        ConfigError: ``alpha`` is not positive.
    """
    scores = with_background(maps, alpha)
    return mean_field(unary_from_scores(scores, _present(tags)), images, crf)


def with_background(maps: Tensor, alpha: float) -> Tensor:
    """Put the plane (1 - max_c map_c)^alpha before maps: [B, C, h, w] to [B, C + 1, h, w].

    Raises:
        ConfigError: ``alpha`` is not positive.
    """
    if alpha <= 0:
        raise ConfigError(f"alpha of the background score must be positive, got {alpha}")
    background = (1 - maps.amax(dim=1, keepdim=True)).clamp_min(0) ** alpha
    return torch.cat([background, maps], dim=1)


def labels_from_alphas(low: Tensor, high: Tensor) -> Tensor:
    """Combine the scores of two alphas into labels (AffinityNet, as in the authors' code).

    Scores may have been pooled, or gone through an augmentation that leaves zeros outside the
    slice: pixels without any score are ignored.

    Args:
        low: Scores of the small alpha, [B, C + 1, h, w]: whichever class wins there is confident.
        high: Scores of the large one: where the background wins, it is confident, whatever
            ``low`` says.

    Returns:
        uint8 [B, h, w]: 0 background, 1..C classes, :data:`UNKNOWN` elsewhere.
    """
    background = high.argmax(dim=1) == 0
    labels = low.argmax(dim=1)
    labels = torch.where(background, 0, torch.where(labels == 0, UNKNOWN, labels))
    unscored = torch.maximum(low.amax(dim=1), high.amax(dim=1)) < _SCORED
    return torch.where(unscored, UNKNOWN, labels).to(torch.uint8)


def _present(tags: Tensor) -> Tensor:
    """Labels that a slice may have, bool [B, C + 1]: the background, and the classes it shows."""
    return F.pad(tags > 0, (1, 0), value=True)


def _refined(
    maps: Tensor,
    threshold: float,
    present: Tensor,
    images: Tensor,
    probability: float,
    crf: CrfSettings,
) -> Tensor:
    """Labels [B, h, w] of the maps over a background of ``threshold``, after the CRF."""
    labels = F.pad(maps, (0, 0, 0, 0, 1, 0), value=threshold).argmax(dim=1)
    unary = unary_from_labels(labels, present, probability)
    return mean_field(unary, images, crf).argmax(dim=1)
