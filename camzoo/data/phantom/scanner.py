"""From tissue maps to a magnitude image: coil shading, finite k-space, complex noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from camzoo.data.phantom.canvas import Grid, TissueMaps
from camzoo.data.phantom.shapes import Field
from camzoo.data.phantom.texture import ridges, smooth_noise

#: Share of k-space that is acquired along y (phase encoding) and x (readout).
ACQUIRED: Final = (0.78, 0.92)
#: Lattice of the coil shading in mm along z, y and x.
SHADING_MM: Final = (160.0, 130.0, 130.0)
#: Median of the arbitrary factor from signal to stored units, and its spread (log).
GAIN: Final = (300.0, 0.4)


@dataclass(frozen=True)
class Texture:
    """Sizes of the fine structure of a variant, as lattices in mm along z, y and x.

    Attributes:
        grain: The finer part of the texture.
        mottle: Its coarser part.
        strand: The field whose zero lines are the strands.
        width: Half width of a strand in standard deviations of that field.
    """

    grain: tuple[float, float, float]
    mottle: tuple[float, float, float]
    strand: tuple[float, float, float]
    width: float


@dataclass(frozen=True)
class Streams:
    """Independent sources of randomness, so that turning one dial leaves the rest as it was."""

    texture: np.random.Generator
    shading: np.random.Generator
    noise: np.random.Generator
    gain: np.random.Generator


def acquire(
    maps: TissueMaps, grid: Grid, streams: Streams, texture: Texture, *, sigma: float, bias: float
) -> NDArray[np.int16]:
    """Make the image that a scanner would.

    Args:
        maps: What the slices hold.
        grid: The scan.
        streams: Randomness.
        texture: Sizes of the fine structure.
        sigma: Standard deviation of the noise in the real and in the imaginary part.
        bias: Standard deviation of the logarithm of the coil shading.

    Returns:
        Magnitudes in arbitrary units, shape [z, y, x].
    """
    body = _textured(maps, grid, texture, streams.texture)
    body *= np.exp(bias * smooth_noise(streams.shading, grid.axes, SHADING_MM))
    magnitude = np.abs(_through_k_space(body, sigma, streams.noise))
    median, spread = GAIN
    magnitude *= median * math.exp(spread * streams.gain.standard_normal())
    return np.clip(np.rint(magnitude), 0, np.iinfo(np.int16).max).astype(np.int16)


def _textured(maps: TissueMaps, grid: Grid, texture: Texture, rng: np.random.Generator) -> Field:
    """The signal with its texture, never negative."""
    fine, coarse, field, patches = (
        smooth_noise(rng, grid.axes, scale)
        for scale in (texture.grain, texture.mottle, texture.strand, texture.strand)
    )
    grain = 0.8 * fine + 0.6 * coarse
    # Strands come in patches: an unbroken web of lines looks like cracked paint.
    lines = ridges(field, texture.width) * np.clip(patches + 0.5, 0, 1)
    body: Field = np.maximum(maps.signal * (1 + maps.grain * grain + maps.strand * lines), 0)
    return body


def _through_k_space(body: Field, sigma: float, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Cut off high frequencies and add noise as it enters: white, complex, in the acquired band.

    The magnitude of the result is Rician (Gudbjartsson and Patz, Magn Reson Med 34, 1995).
    """
    ny, nx = body.shape[1:]
    window = _band(ny, ACQUIRED[0])[:, None] * _band(nx, ACQUIRED[1])
    noise = rng.standard_normal((2, *body.shape), dtype=np.float32)
    noise *= sigma / float(np.sqrt(np.mean(window**2)))
    spectrum = fft.fft2(body + noise[0] + 1j * noise[1])
    image: NDArray[np.complex64] = fft.ifft2(spectrum * window)
    return image


def _band(n: int, acquired: float) -> Field:
    """Pass band of one axis in FFT order, its outer fifth tapered by a cosine."""
    frequency = np.abs(np.fft.fftfreq(n)) * 2 / acquired
    taper = np.clip((1 - frequency) / 0.2, 0, 1)
    window: Field = (0.5 - 0.5 * np.cos(np.pi * taper)).astype(np.float32)
    return window
