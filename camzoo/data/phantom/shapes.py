"""Solid shapes that are cheap to evaluate on a block of voxels.

Coordinates are millimetres in the patient: x to the left, y to the back, z to the head. A shape
says how deep a point lies under its surface; the canvas turns that depth into partial volume.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
#: A number, or its values at some heights: ``((z, value), ...)``, linear between, constant beyond.
Profile = float | Sequence[tuple[float, float]]


class Box(NamedTuple):
    """Extent of a shape in mm: (low, high) along z, y and x."""

    z: tuple[float, float]
    y: tuple[float, float]
    x: tuple[float, float]


class Shape(ABC):
    """A solid."""

    @property
    @abstractmethod
    def box(self) -> Box:
        """A box that holds the whole shape."""

    @abstractmethod
    def depth(self, x: Field, y: Field, z: Field) -> Field:
        """Depth under the surface in mm, negative outside; exact in sign, approximate in size.

        Args:
            x: Shape [n, h, w], mm.
            y: Shape [n, h, w], mm.
            z: Shape [n], mm.

        Returns:
            A new array, shape [n, h, w].
        """


@dataclass(frozen=True)
class Tube(Shape):
    """A stack of rounded cross-sections along z: an ellipsoid, a vessel, a muscle, a gland.

    Attributes:
        z: Lowest and highest point in mm.
        x: Centre of the cross-section in mm, along z.
        y: Centre of the cross-section in mm, along z.
        rx: Half width in mm, along z.
        ry: Half depth in mm, along z.
        caps: Lengths in mm over which the lower and the upper end are rounded off; 0 cuts it flat.
        angle: Turn of the cross-section in degrees, from x towards y.
        square: 0 for an ellipse, towards 1 for a rounded rectangle.
        uneven: Complex amplitudes of the 2nd, 3rd, ... angular harmonic of the radius.
        twist: Turn of the harmonics in radians per mm of z.
    """

    z: tuple[float, float]
    x: Profile
    y: Profile
    rx: Profile
    ry: Profile
    caps: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    square: float = 0.0
    uneven: tuple[complex, ...] = ()
    twist: float = 0.0

    @cached_property
    def box(self) -> Box:
        """A box that holds the whole tube."""
        swell = 1.0 + sum(abs(a) for a in self.uneven)
        rx, ry = (max(_values(r)) * swell for r in (self.rx, self.ry))
        c, s = (abs(f(math.radians(self.angle))) for f in (math.cos, math.sin))
        # Half the extent of the turned ellipse, or of the turned rectangle around it.
        if self.square:
            rx, ry = rx * c + ry * s, rx * s + ry * c
        else:
            rx, ry = math.hypot(rx * c, ry * s), math.hypot(rx * s, ry * c)
        xs, ys = _values(self.x), _values(self.y)
        return Box(self.z, (min(ys) - ry, max(ys) + ry), (min(xs) - rx, max(xs) + rx))

    def depth(self, x: Field, y: Field, z: Field) -> Field:
        """Depth under the surface; see :meth:`Shape.depth`."""
        cap = self._cap(z)
        rx, ry = _at(self.rx, z) * cap, _at(self.ry, z) * cap
        u, v = x - _at(self.x, z), y - _at(self.y, z)
        if self.angle:
            c, s = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
            u, v = c * u + s * v, c * v - s * u
        u *= 1 / rx
        v *= 1 / ry
        depth = 1 - self._radius(u, v, z)
        depth *= np.minimum(rx, ry)
        # A flat end is a surface too: without it the partial volume of the last slice is lost.
        below, above = self._ends(z)
        return np.minimum(depth, np.minimum(below, above)[:, None, None], out=depth)

    def _ends(self, z: Field) -> tuple[Field, Field]:
        """Distance from the lower and to the upper end, negative beyond."""
        return z - float(self.z[0]), float(self.z[1]) - z

    def _cap(self, z: Field) -> Field:
        """Factor by which the rounded ends shrink the radii; a tiny one outside the tube."""
        factor = np.ones_like(z)
        for cap, reach in zip(self.caps, self._ends(z), strict=True):
            if cap:
                rest = np.clip(1 - reach / cap, 0, 1)
                factor *= np.sqrt(1 - rest * rest)
        return np.maximum(factor, 1e-3)[:, None, None]

    def _radius(self, u: Field, v: Field, z: Field) -> Field:
        """Distance from the axis, 1 on the outline; u and v are in units of the radii."""
        uu, vv = u * u, v * v
        radius: Field = np.sqrt(uu + vv)
        swell = self._swell(u, v, radius, z) if self.uneven else None
        if self.square:
            boxy = np.sqrt(np.sqrt(uu * uu + vv * vv))
            radius += self.square * (boxy - radius)
        if swell is not None:
            radius /= swell
        return radius

    def _swell(self, u: Field, v: Field, radius: Field, z: Field) -> Field:
        """1 + the sum of the harmonics; cos(k t) comes from cos(t), no inverse tangent is needed.

        cos(k t) = 2 cos(t) cos((k - 1) t) - cos((k - 2) t), and the same for the sine.
        """
        inverse = 1 / np.maximum(radius, 1e-6)
        c, s = u * inverse, v * inverse
        twice, c_before, s_before = 2 * c, np.ones_like(c), np.zeros_like(s)
        swell = np.ones_like(c)
        turned = np.exp(1j * self.twist * z)[:, None, None]
        for amplitude in self.uneven:
            c, c_before = twice * c - c_before, c
            s, s_before = twice * s - s_before, s
            a = (amplitude * turned).astype(np.complex64)
            swell += a.real * c - a.imag * s
        return np.maximum(swell, 0.2, out=swell)


@dataclass(frozen=True)
class Both(Shape):
    """What two shapes have in common."""

    first: Shape
    second: Shape

    @cached_property
    def box(self) -> Box:
        """The overlap of the two boxes."""
        a, b = self.first.box, self.second.box
        return Box(*((max(p[0], q[0]), min(p[1], q[1])) for p, q in zip(a, b, strict=True)))

    def depth(self, x: Field, y: Field, z: Field) -> Field:
        """Depth under the nearer surface."""
        return np.minimum(self.first.depth(x, y, z), self.second.depth(x, y, z))


@dataclass(frozen=True)
class Either(Shape):
    """Two shapes joined."""

    first: Shape
    second: Shape

    @cached_property
    def box(self) -> Box:
        """The hull of the two boxes."""
        a, b = self.first.box, self.second.box
        return Box(*((min(p[0], q[0]), max(p[1], q[1])) for p, q in zip(a, b, strict=True)))

    def depth(self, x: Field, y: Field, z: Field) -> Field:
        """Depth under the farther surface."""
        return np.maximum(self.first.depth(x, y, z), self.second.depth(x, y, z))


@dataclass(frozen=True)
class Without(Shape):
    """The first shape with the second one cut out of it."""

    first: Shape
    second: Shape

    @property
    def box(self) -> Box:
        """The box of the first shape."""
        return self.first.box

    def depth(self, x: Field, y: Field, z: Field) -> Field:
        """Depth under the first surface or away from the second."""
        return np.minimum(self.first.depth(x, y, z), -self.second.depth(x, y, z))


def ball(x: float, y: float, z: float, r: float, *, flat: float = 1.0, tall: float = 1.0) -> Tube:
    """An upright ellipsoid: half axes ``r`` along x, ``r * flat`` along y, ``r * tall`` along z."""
    height = r * tall
    return Tube((z - height, z + height), x, y, r, r * flat, caps=(height, height))


def _values(profile: Profile) -> list[float]:
    return [profile] if isinstance(profile, int | float) else [value for _, value in profile]


def _at(profile: Profile, z: Field) -> Field:
    """Values of a profile at heights z, shape [n, 1, 1]."""
    if isinstance(profile, int | float):
        return np.full((1, 1, 1), profile, np.float32)
    heights, values = zip(*profile, strict=True)
    profile_at_z: Field = np.interp(z, heights, values).astype(np.float32)
    return profile_at_z[:, None, None]
