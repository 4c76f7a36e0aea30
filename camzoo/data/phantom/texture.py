"""Smooth random fields whose correlation length is given in millimetres, not in voxels."""

from __future__ import annotations

import numpy as np

from camzoo.data.phantom.shapes import Field


def smooth_noise(
    rng: np.random.Generator, axes: tuple[Field, Field, Field], scale: tuple[float, float, float]
) -> Field:
    """Draw a Gaussian field of zero mean and unit variance, correlated over about ``scale``.

    White noise on a lattice of spacing ``scale`` is interpolated by cubic B-splines, whose weights
    are normalised so that the variance is one everywhere. Only products and sums of four terms are
    taken, in a fixed order: the field does not depend on threads or on a linear algebra library.

    Args:
        rng: Where the randomness comes from.
        axes: Evenly spaced positions of the voxels along z, y and x in mm.
        scale: Lattice spacing along z, y and x in mm.

    Returns:
        Shape [z, y, x].
    """
    places = [(axis - axis[0]) / np.float32(s) for axis, s in zip(axes, scale, strict=True)]
    nodes = [int(place[-1]) + 4 for place in places]
    field: Field = rng.standard_normal(tuple(nodes), dtype=np.float32)
    # The last axis is contiguous: interpolate it while the field is still small.
    for axis in (2, 1, 0):
        field = _interpolate(field, axis, places[axis])
    return field


def ridges(field: Field, width: float) -> Field:
    """Turn a smooth field into thin bright lines where it crosses zero: septa, vessels, fibres.

    Args:
        field: Unit variance, any shape.
        width: Half width of a line in standard deviations of the field.

    Returns:
        The same shape, 0 to 1.
    """
    lines: Field = 1 / (1 + np.square(np.square(field / width)))
    return lines


def _interpolate(field: Field, axis: int, places: Field) -> Field:
    """Cubic B-spline interpolation along one axis; node i + 1 lies at place i."""
    lower = np.floor(places)
    first, t = lower.astype(np.intp), places - lower
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * (1 - t) ** 3 - 6 * (1 - t) ** 2 + 4, t**3]
    )
    weights /= np.sqrt(np.sum(weights**2, axis=0))
    shape = [1, 1, 1]
    shape[axis] = -1
    terms = (
        np.take(field, first + i, axis) * weight.reshape(shape) for i, weight in enumerate(weights)
    )
    total: Field = next(terms)
    for term in terms:
        total += term
    return total
