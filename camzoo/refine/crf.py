"""Mean field in a dense CRF with Gaussian kernels, on any device, a batch of slices at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from camzoo.core.errors import ConfigError
from camzoo.refine.neighbours import ends, half_plane
from camzoo.refine.scale import shrunk

_GREY_LEVELS: Final = 255
#: Smaller exponents are raised to this. exp(-60) = 9e-27 adds nothing to any sum, but numbers that
#: underflow, or nearly so, take a processor ten times as long.
_LEAST: Final = -60.0


@dataclass(frozen=True)
class CrfSettings:
    """Parameters of the CRF, by default those of C-CAM's lineage for MR.

    Papers on colour images give a standard deviation per channel. Where a grey slice was fed as
    three equal channels, squared distances were three times as large: srgb there is srgb / √3 here.

    Attributes:
        iterations: Rounds of mean field; 0 leaves the unary as it is.
        gaussian_sxy: Standard deviation of the smoothness kernel in pixels.
        gaussian_compat: Its weight; 0 leaves it out.
        bilateral_sxy: Spatial standard deviation of the appearance kernel in pixels.
        bilateral_intensity: Its standard deviation in grey levels of 8 bit, one channel. The
            default is srgb 1 on three equal channels.
        bilateral_compat: Its weight; 0 leaves it out.
        window: Pairs this many spatial standard deviations apart, rounded up to whole pixels, or
            farther are cut off.
    """

    iterations: int = 1
    gaussian_sxy: float = 3.0
    gaussian_compat: float = 3.0
    bilateral_sxy: float = 10.0
    bilateral_intensity: float = 1 / math.sqrt(3)
    bilateral_compat: float = 10.0
    window: float = 3.0

    def __post_init__(self) -> None:
        scales = (self.gaussian_sxy, self.bilateral_sxy, self.bilateral_intensity, self.window)
        if self.iterations < 0 or min(scales) <= 0:
            raise ConfigError(
                "a CRF needs iterations of 0 or more, and positive standard deviations and "
                f"window, got {self}"
            )

    def on_slices(self, side: int) -> CrfSettings:
        """Shrink the kernels from the lineage's slices to those of ``side``."""
        return replace(
            self,
            gaussian_sxy=shrunk(self.gaussian_sxy, side),
            bilateral_sxy=shrunk(self.bilateral_sxy, side),
        )


@torch.no_grad()
def mean_field(unary: Tensor, images: Tensor, settings: CrfSettings) -> Tensor:
    """Make labels of pixels agree that are near each other, and near and alike.

    Krähenbühl and Koltun, NIPS 2011, algorithm 1, with Potts compatibility. From Q = softmax(-U),
    each iteration is::

        Q <- softmax(-U + sum_m w_m D_m^-1/2 K_m D_m^-1/2 Q),    D_m = diag(K_m 1)

    with K_ij = exp(-|p_i - p_j|² / 2 sxy²) for smoothness, and times exp(-(I_i - I_j)² / 2 s²) for
    appearance. As in the authors' code (and pydensecrf, which wraps it) kernels are normalised from
    both sides and a pixel counts as its own neighbour; the paper has neither. Their sums are found
    on a permutohedral lattice, which blurs them; here they are exact but for pairs beyond the
    window. At 3 standard deviations these hold exp(-4.5) = 1.1 % of the weight of a kernel on flat
    grey. Normalisation spreads it over the pairs that are left.

    Memory is a few times that of ``unary``; time grows with the square of sxy times the window.

    Args:
        unary: Energies U = -log p, [B, L, h, w]; infinite for labels that are ruled out.
        images: Grey slices on [0, 1], [B, h, w].
        settings: Kernels, and how often.

    Returns:
        Probabilities Q [B, L, h, w].

    Raises:
        ConfigError: Unary and images do not share batch and grid.
    """
    if unary.shape[:1] + unary.shape[2:] != images.shape:
        raise ConfigError(
            "unary and images must share batch and grid, got "
            f"[B, L, h, w] = {list(unary.shape)} and [B, h, w] = {list(images.shape)}"
        )
    kernels = _kernels(images.to(unary.dtype), settings)
    q = torch.softmax(-unary, dim=1)
    for _ in range(settings.iterations):
        messages = [weight * kernel.apply(q) for kernel, weight in kernels]
        q = torch.softmax(sum(messages, -unary), dim=1)
    return q


def unary_from_labels(labels: Tensor, present: Tensor, probability: float) -> Tensor:
    """Energies of labels that are right with a probability (pydensecrf's helper of that name).

    Args:
        labels: [B, h, w], integers on [0, L).
        present: Labels that are possible in a slice, bool [B, L]; the others are ruled out.
        probability: How sure a label is; the rest is shared by the other possible labels.

    Returns:
        [B, L, h, w], float32.

    Raises:
        ConfigError: ``probability`` is not between 0 and 1.
    """
    if not 0 < probability < 1:
        raise ConfigError(f"labels are right with a probability within (0, 1), got {probability}")
    others = (present.sum(dim=1) - 1).clamp_min(1)
    rest = ((1 - probability) / others).float()[:, None, None, None]
    chosen = torch.arange(present.shape[1], device=labels.device)[:, None, None] == labels[:, None]
    return _rule_out(-torch.where(chosen, probability, rest).log(), present)


def unary_from_scores(scores: Tensor, present: Tensor, least: float = 1e-5) -> Tensor:
    """Energies -log p of scores [B, L, h, w] on [0, 1], which need not sum to one.

    Args:
        scores: One plane per label.
        present: Labels that are possible in a slice, bool [B, L]; the others are ruled out.
        least: Smaller scores are raised to this (pydensecrf's ``unary_from_softmax``).

    Returns:
        [B, L, h, w].
    """
    return _rule_out(-scores.clamp(least, 1).log(), present)


def _rule_out(unary: Tensor, present: Tensor) -> Tensor:
    return unary.masked_fill(~present[:, :, None, None], math.inf)


def _kernels(images: Tensor, settings: CrfSettings) -> list[tuple[_Kernel, float]]:
    """The kernels in use, with their weights."""
    if not settings.iterations:
        return []
    found = []
    if settings.gaussian_compat:
        flat = torch.zeros_like(images[:1])
        kernel = _Kernel(flat, settings.gaussian_sxy, settings.window)
        found.append((kernel, settings.gaussian_compat))
    if settings.bilateral_compat:
        scaled = images * (_GREY_LEVELS / settings.bilateral_intensity)
        kernel = _Kernel(scaled, settings.bilateral_sxy, settings.window)
        found.append((kernel, settings.bilateral_compat))
    return found


class _Kernel:
    """D^-1/2 K D^-1/2 of a Gaussian kernel over places and grey.

    Args:
        image: Image in standard deviations, [B, h, w], or [1, h, w] for all slices of a batch.
        sxy: Width in pixels.
        window: Window in multiples of sxy.
    """

    def __init__(self, image: Tensor, sxy: float, window: float) -> None:
        self._image = image[:, None]
        self._sxy = sxy
        # Nothing on the grid is farther apart than its diagonal.
        reach = min(window * sxy, math.hypot(*image.shape[1:]))
        self._offsets = half_plane(max(2, math.ceil(reach)))
        self._scale = self._sums(torch.ones_like(self._image)).rsqrt()

    def apply(self, q: Tensor) -> Tensor:
        """Return messages [B, L, h, w] of probabilities."""
        return self._scale * self._sums(self._scale * q)

    def _sums(self, values: Tensor) -> Tensor:
        """K values: one weight per pair at a time, made when it is needed."""
        sums = values.clone()
        height, width = values.shape[2:]
        for dy, dx in self._offsets:
            i, j = ((..., *window) for window in ends(height, width, (dy, dx)))
            near = math.exp(-(dy**2 + dx**2) / (2 * self._sxy**2))
            apart = self._image[i] - self._image[j]
            alike = apart.square_().mul_(-0.5).clamp_min_(_LEAST).exp_()
            sums[i].addcmul_(alike, values[j], value=near)
            sums[j].addcmul_(alike, values[i], value=near)
        return sums
