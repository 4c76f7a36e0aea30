"""The grid of a scan, and the canvas on which an anatomy is painted tissue by tissue."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camzoo.data.phantom.shapes import Box, Field, Shape
from camzoo.data.phantom.texture import smooth_noise

#: Thin slices that are painted per slice of the scan and averaged: partial volume along z.
SUBSLICES: Final = 3
#: Voxels painted at a time: few enough to stay in the processor's cache.
_BLOCK: Final = 1 << 16

_Block = tuple[slice, slice, slice]


class Tissue(NamedTuple):
    """What a tissue looks like.

    Attributes:
        signal: Mean signal; 1 is about the brightest solid tissue.
        grain: Relative standard deviation of its fine texture.
        strand: Relative signal of thin lines in it (septa, vessels); negative for dark ones.
    """

    signal: float
    grain: float = 0.05
    strand: float = 0.0


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a scan lie.

    Attributes:
        shape: Voxels along (z, y, x).
        spacing: mm along (z, y, x).
        origin: Position (z, y, x) of the first voxel in mm.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]

    @property
    def axes(self) -> tuple[Field, Field, Field]:
        """Positions of the voxel centres along z, y and x in mm."""
        z, y, x = (
            (start + step * np.arange(n)).astype(np.float32)
            for n, step, start in zip(self.shape, self.spacing, self.origin, strict=True)
        )
        return z, y, x

    @property
    def fine_z(self) -> Field:
        """Heights of all thin slices in mm, ``SUBSLICES`` to a slice."""
        offsets = (np.arange(SUBSLICES) - (SUBSLICES - 1) / 2) / SUBSLICES * self.spacing[0]
        fine: Field = (self.axes[0][:, None] + offsets.astype(np.float32)).ravel()
        return fine


@dataclass(frozen=True)
class Pose:
    """How a patient lies in the scanner and differs from the drawing of the anatomy.

    Attributes:
        shift: Displacement (y, x) in mm.
        scale: Size relative to the drawing (y, x).
        turn: Rotation about z in degrees.
        bend: Standard deviation of the smooth irregular deformation in mm.
        bend_scale: Length over which the deformation changes, in mm.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    turn: float = 0.0
    bend: float = 0.0
    bend_scale: float = 50.0


class TissueMaps(NamedTuple):
    """What the slices of a scan hold, before a scanner has looked; every array is [z, y, x].

    Attributes:
        signal: Mean signal.
        grain: Relative strength of the fine texture.
        strand: Relative strength of lines.
        label: Organ, uint8, 0 for background.
        occupied: Whether any organ fills part of the voxel.
    """

    signal: Field
    grain: Field
    strand: Field
    label: NDArray[np.uint8]
    occupied: NDArray[np.bool_]


class Canvas:
    """Tissues of one patient, three thin slices to a slice.

    Later paint covers earlier paint; edges are one voxel wide, so that a voxel cut by a surface
    holds a mixture.

    Args:
        grid: The scan.
        pose: Maps positions in the scanner to positions in the anatomy.
        rng: Generator of the irregular deformation.
        palette: Tissues by name.
    """

    def __init__(
        self, grid: Grid, pose: Pose, rng: np.random.Generator, palette: Mapping[str, Tissue]
    ) -> None:
        self._palette = palette
        self._step = grid.spacing[0] / SUBSLICES
        self._edge = max(grid.spacing[1:])
        self._z = grid.fine_z
        self._y, self._x = _anatomical(grid, pose, rng)
        # Least and greatest anatomical coordinate of every row and column, to find a shape's box.
        self._rows = self._y.min((0, 2)), self._y.max((0, 2))
        self._columns = self._x.min((0, 1)), self._x.max((0, 1))
        shape = self._x.shape
        self._signal: Field = np.zeros(shape, np.float32)
        self._grain: Field = np.zeros(shape, np.float32)
        self._strand: Field = np.zeros(shape, np.float32)
        self._label: NDArray[np.uint8] = np.zeros(shape, np.uint8)

    def paint(
        self,
        shape: Shape,
        tissue: str,
        *,
        grow: float = 0.0,
        inner: Sequence[tuple[str, float]] = (),
        organ: int = 0,
        inside: int | None = None,
        opacity: float = 1.0,
    ) -> None:
        """Cover a shape with a tissue.

        Args:
            shape: What is covered.
            tissue: With what; a name of the palette.
            grow: mm by which the shape is thickened (or thinned, if negative).
            inner: Further tissues with their own ``grow``, painted over it in this order: the
                marrow of a bone, the content of a bowel.
            organ: The label that the covered voxels get.
            inside: Paint only where the label is this organ, and keep it: a detail of the organ.
            opacity: 1 replaces what was there, less lets it show through.
        """
        layers = ((tissue, grow), *inner)
        for block in self._blocks(shape.box, max(by for _, by in layers)):
            depth = shape.depth(self._x[block], self._y[block], self._z[block[0]])
            depth *= 1 / self._edge
            depth += 0.5
            label = self._label[block]
            held = None if inside is None else label == inside
            for i, (name, by) in enumerate(layers):
                cover = np.clip(depth + by / self._edge, 0, 1)
                if held is not None:
                    cover *= held
                mostly = cover > 0.5
                if i == 0 and inside is None:
                    label[mostly] = organ
                self._blend(block, self._palette[name], cover * opacity, mostly)

    def average(self) -> TissueMaps:
        """Average the thin slices into slices.

        The label of a voxel is the majority of its thin slices, the middle one where all differ.
        """
        split = (-1, SUBSLICES, *self._signal.shape[1:])
        signal, grain, strand = (
            channel.reshape(split).mean(1) for channel in (self._signal, self._grain, self._strand)
        )
        thin = self._label.reshape(split)
        low, middle, high = (thin[:, i] for i in range(SUBSLICES))
        label = np.where(low == high, low, middle)
        occupied = np.logical_or.reduce(thin > 0, axis=1)
        return TissueMaps(signal, grain, strand, label, occupied)

    def _blend(
        self, block: _Block, tissue: Tissue, cover: Field, mostly: NDArray[np.bool_]
    ) -> None:
        """Mix the signal; the texture, which has no partial volume, changes hands half-way."""
        signal = self._signal[block]
        cover *= tissue.signal - signal
        signal += cover
        np.copyto(self._grain[block], np.float32(tissue.grain), where=mostly)
        np.copyto(self._strand[block], np.float32(tissue.strand), where=mostly)

    def _blocks(self, box: Box, grow: float) -> Iterator[_Block]:
        """Blocks of voxels that cover a box, each small enough for the cache."""
        pad = max(grow, 0.0)
        rows = _span(*self._rows, box.y, pad + self._edge)
        columns = _span(*self._columns, box.x, pad + self._edge)
        heights = _span(self._z, self._z, box.z, pad + self._step)
        area = max(1, (rows.stop - rows.start) * (columns.stop - columns.start))
        step = max(1, _BLOCK // area)
        for start in range(heights.start, heights.stop, step):
            yield slice(start, min(start + step, heights.stop)), rows, columns


def _span(least: Field, greatest: Field, extent: tuple[float, float], pad: float) -> slice:
    """The run of indices whose positions may fall into an extent."""
    hit = np.flatnonzero((greatest >= extent[0] - pad) & (least <= extent[1] + pad))
    return slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 0)


def _anatomical(grid: Grid, pose: Pose, rng: np.random.Generator) -> tuple[Field, Field]:
    """Anatomical y and x in mm of every voxel of the thin slices, each [3 z, y, x]."""
    _, rows, columns = grid.axes
    y = rows[:, None] - pose.shift[0]
    x = columns[None, :] - pose.shift[1]
    cos, sin = math.cos(math.radians(pose.turn)), math.sin(math.radians(pose.turn))
    turned = (cos * y - sin * x) / pose.scale[0], (sin * y + cos * x) / pose.scale[1]
    axes, scale = (grid.fine_z, rows, columns), (pose.bend_scale,) * 3
    bent_y, bent_x = (flat + pose.bend * smooth_noise(rng, axes, scale) for flat in turned)
    return bent_y, bent_x
