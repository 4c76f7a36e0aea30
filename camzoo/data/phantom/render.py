"""One case of the phantom: from a patient's number to voxels."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camzoo.data.phantom.anatomy import Anatomy
from camzoo.data.phantom.canvas import Canvas, Grid, Pose
from camzoo.data.phantom.dials import Dials
from camzoo.data.phantom.fade import fade
from camzoo.data.phantom.scanner import Streams, acquire

#: Sources of randomness of a patient, in the order in which they are spawned.
_STREAMS: Final = ("anatomy", "pose", "stack", "bend", "texture", "shading", "noise", "gain")


class Rendered(NamedTuple):
    """Voxels of a case.

    Attributes:
        image: Shape [z, y, x].
        label: Shape [z, y, x], uint8.
        grid: Where they lie.
    """

    image: NDArray[np.int16]
    label: NDArray[np.uint8]
    grid: Grid


def render(
    variant: type[Anatomy], dials: Dials, *, size: int, seed: tuple[int, ...], phase: str = ""
) -> Rendered:
    """Make the image and the label of one case.

    Args:
        variant: Kind of patient.
        dials: Difficulty.
        size: Voxels along the longer in-plane axis.
        seed: Numbers that name the patient; equal seeds give equal patients.
        phase: Which of the patient's volumes.
    """
    streams = _streams(seed)
    anatomy = variant(streams["anatomy"], phase, dials.cooccurrence)
    grid = _grid(anatomy, dials, size, streams["stack"])
    pose = _pose(anatomy, dials, streams["pose"])
    canvas = Canvas(grid, pose, streams["bend"], anatomy.palette)
    anatomy.paint(canvas)
    maps = canvas.average()
    sigma = dials.noise * float(maps.signal[maps.label > 0].mean())
    # Phases are scanned one after the other: the same tissue and coil, other noise.
    noise = streams["noise"].spawn(len(variant.phases))[variant.phases.index(phase)]
    image = acquire(
        fade(maps, grid.spacing[1:], dials.contrast),
        grid,
        Streams(streams["texture"], streams["shading"], noise, streams["gain"]),
        variant.texture,
        sigma=sigma,
        bias=dials.bias,
    )
    return Rendered(image, maps.label, grid)


def _streams(seed: tuple[int, ...]) -> dict[str, np.random.Generator]:
    children = np.random.SeedSequence(seed).spawn(len(_STREAMS))
    return {name: np.random.default_rng(s) for name, s in zip(_STREAMS, children, strict=True)}


def _grid(anatomy: Anatomy, dials: Dials, size: int, rng: np.random.Generator) -> Grid:
    """Lay the stack of slices so that the wanted share lies below and above the organs."""
    low, high = anatomy.extent
    step = anatomy.slice_mm
    positive = max(1, round((high - low) / step))
    wanted = positive * dials.negatives / (1 - dials.negatives)
    # Rounding at random keeps the share right on average where it is less than a slice.
    negative = int(wanted + rng.random())
    below = int(negative * rng.uniform(0.35, 0.65) + rng.random())
    first = (low + high) / 2 - step * ((positive - 1) / 2 + below)
    pixel = max(anatomy.field_of_view) / size
    ny, nx = (round(extent / pixel) for extent in anatomy.field_of_view)
    y, x = (c - pixel * (n - 1) / 2 for c, n in zip(anatomy.centre, (ny, nx), strict=True))
    return Grid((positive + negative, ny, nx), (step, pixel, pixel), (first, y, x))


def _pose(anatomy: Anatomy, dials: Dials, rng: np.random.Generator) -> Pose:
    draw = np.clip(rng.normal(size=5), -2, 2)
    shift_y, shift_x = (float(d) for d in dials.jitter * draw[:2])
    scale_y, scale_x = (float(s) for s in 1 + 0.04 * draw[2:4])
    strength, reach = anatomy.bend
    return Pose((shift_y, shift_x), (scale_y, scale_x), 3.0 * float(draw[4]), strength, reach)
