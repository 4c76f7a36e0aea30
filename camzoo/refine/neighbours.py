"""Pairs of pixels within a radius, and the pixels on the line between the two of a pair.

A pair is named by the offset from its first pixel i to its second j. Offsets come from a half
plane, so that each pair has one name: j lies below i, or to its right in the same row. A plane
[..., P, h, w] of P offsets holds a value of every pair at the place of its first pixel.
"""

from __future__ import annotations

from functools import lru_cache

from camzoo.core.errors import ConfigError

#: Rows and columns from the first pixel of a pair to the second.
Offset = tuple[int, int]
#: Rows and columns of a part of a plane.
Window = tuple[slice, slice]


@lru_cache(maxsize=16)
def half_plane(radius: int) -> tuple[Offset, ...]:
    """Return the offsets (dy, dx) with dy² + dx² < radius², half of them (AffinityNet, IRNet).

    The bound is strict, as in the code of both papers: 34 offsets for a radius of 5, 152 for 10.

    Raises:
        ConfigError: No neighbour lies within the radius.
    """
    if radius < 2:
        raise ConfigError(f"the radius of pairs must be 2 pixels or more, got {radius}")
    reach = range(1 - radius, radius)
    row = [(0, dx) for dx in range(1, radius)]
    below = [(dy, dx) for dy in range(1, radius) for dx in reach if dy**2 + dx**2 < radius**2]
    return (*row, *below)


@lru_cache(maxsize=1024)
def line(offset: Offset) -> tuple[Offset, ...]:
    """Return the pixels less than one pixel off the line from (0, 0) to ``offset``, both included.

    They lie in the rectangle spanned by the two ends (IRNet's paths).
    """
    dy, dx = offset
    columns = range(min(0, dx), max(0, dx) + 1)
    return tuple(
        (y, x)
        for y in range(dy + 1)
        for x in columns
        if (dy * x - dx * y) ** 2 < dy**2 + dx**2
    )  # fmt: skip


def ends(height: int, width: int, offset: Offset) -> tuple[Window, Window]:
    """Return where on a grid the first and the second pixels of all pairs of one offset lie.

    The two windows have one shape, which is empty where the grid is smaller than the offset.
    """
    dy, dx = offset
    rows, columns = max(height - dy, 0), max(width - abs(dx), 0)
    left, right = max(-dx, 0), max(dx, 0)
    first = slice(0, rows), slice(left, left + columns)
    second = slice(dy, dy + rows), slice(right, right + columns)
    return first, second
