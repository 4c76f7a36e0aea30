"""Distance from points of a voxel lattice to the nearest point of a surface, exactly.

Three ways lead to the same numbers:

* :class:`RowIndex`: surfaces of a fair prediction run close to each other, and on a lattice only a
  few rows of voxels lie within reach. Ten times faster than a tree for distances of a few voxels.
* a k-d tree: for points that lie farther off.
* :class:`NearestField`: the nearest point of every voxel of a box at once. It answers a hundred
  times faster than a tree, but to make it takes as long as some hundred thousand questions.

Nobody knows beforehand how many questions follow, so that the field is made once the others have
cost as much as it costs. That is never more than twice the time of the best choice in hindsight,
and a reference that many poor predictions are compared with has its field after the first or the
second of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

IntArray = NDArray[np.intp]
FloatArray = NDArray[np.float64]

#: Below this many points a tree is built and asked faster than rows are laid out.
_FEW: Final = 2000
#: Tables of more cells than this per point cost more than they save (scattered, thin objects).
_SPARSE: Final = 128
#: Rows looked at per query before the tree takes over: by then the tree is as cheap.
_ROWS: Final = 768
#: Rows between two removals of the queries that are answered; more, where few are left.
_BLOCK: Final = 16
#: Places of a table that are looked up in one call: their temporaries fit into a core's cache.
_TOGETHER: Final = 1 << 14
#: So few queries are left to the tree: a row costs more than the numbers that are looked up in it.
_LAST: Final = 300
#: Cells of a field that are made in the time of one query: that rows answer, that they pass on to
#: the tree, and where there are no rows.
_NEAR: Final = 4
_FAR: Final = 60
_TREE: Final = 20
#: One query in so many is tried first, to know how many of all lie near.
_SAMPLE: Final = 64
#: Cells of the largest field: 12 bytes each while it is made, 4 afterwards.
_LARGEST: Final = 1 << 25
#: Decimals of a distance in mm. Of points equally near, the ways may find different ones, whose
#: distances differ in the last bit, and which way is taken depends on how often was asked: without
#: rounding, a row would depend on what else a run holds.
_DECIMALS: Final = 10


class NearestPoint:
    """Answers how far the nearest of a set of surface voxels is.

    Args:
        points: Shape [n, d] with n > 0: lattice indices of the surface voxels, in array order.
        spacing: Shape [d]: mm per index step.
    """

    def __init__(self, points: IntArray, spacing: FloatArray) -> None:
        self._points = points
        self._spacing = spacing
        self._low, self._high = points.min(axis=0), points.max(axis=0)
        self._field: NearestField | None = None
        self._spent = 0

    def distances(self, queries: IntArray) -> FloatArray:
        """Return the distance in mm [m] from each of ``queries`` [m, d] to its nearest point."""
        distance = np.full(len(queries), np.inf)
        if self._field is not None:
            distance = self._field.distances(queries)
        open_ = np.flatnonzero(np.isinf(distance))
        if open_.size:
            distance[open_] = self._search(queries[open_])
        return distance.round(_DECIMALS)

    def _search(self, queries: IntArray) -> FloatArray:
        """Ask a field that holds all queries so far, once it pays; before, rows and the tree."""
        self._low = np.minimum(self._low, queries.min(axis=0))
        self._high = np.maximum(self._high, queries.max(axis=0))
        self._spent += self._cost(queries)
        if prod((self._high - self._low + 1).tolist()) <= min(self._spent, _LARGEST):
            self._spent = 0
            self._field = NearestField(self._points, self._spacing, self._low, self._high)
            return self._field.distances(queries)
        distance = np.full(len(queries), np.inf)
        if self._rows is not None:
            distance = self._rows.distances(queries, fewest=_LAST)
        far = np.flatnonzero(np.isinf(distance))
        if far.size:
            distance[far] = self._ask_tree(queries[far])
        return distance

    def _cost(self, queries: IntArray) -> int:
        """Cells of a field that are made in the time in which rows and tree answer."""
        if self._rows is None:
            return _TREE * len(queries)
        far = np.isinf(self._rows.distances(queries[::_SAMPLE])).mean()
        return int((_NEAR + _FAR * far) * len(queries))

    def _ask_tree(self, queries: IntArray) -> FloatArray:
        _, nearest = self._tree.query(queries * self._spacing)
        return _length((self._points[nearest] - queries).T, self._spacing)

    @cached_property
    def _rows(self) -> RowIndex | None:
        if len(self._points) < _FEW or self._points.shape[1] != 3:
            return None
        rows = RowIndex(self._points, self._spacing)
        return rows if rows.cells <= _SPARSE * len(self._points) else None

    @cached_property
    def _tree(self) -> Any:
        # An unbalanced tree of large leaves takes half as long to build and to ask.
        points = self._points * self._spacing
        return cKDTree(points, leafsize=64, balanced_tree=False, compact_nodes=False)


class NearestField:
    """The nearest point of every voxel of a box, from one feature transform.

    Args:
        points: Shape [n, d], n > 0, all in the box.
        spacing: Shape [d], in mm.
        low: Shape [d]: the first voxel of the box.
        high: Shape [d]: its last one.
    """

    def __init__(
        self, points: IntArray, spacing: FloatArray, low: IntArray, high: IntArray
    ) -> None:
        self._spacing, self._low = spacing, low
        self._shape = tuple((high - low + 1).tolist())
        outside = np.ones(self._shape, dtype=bool)
        outside[tuple((points - low).T)] = False
        nearest = ndimage.distance_transform_edt(
            outside, sampling=spacing, return_distances=False, return_indices=True
        )
        self._nearest = np.ravel_multi_index(tuple(nearest), self._shape).astype(np.int32).ravel()

    def distances(self, queries: IntArray) -> FloatArray:
        """Return the distances [m] of ``queries`` [m, d], inf for those outside the box."""
        index = queries - self._low
        inside = ((index >= 0) & (index < self._shape)).all(axis=1)
        asked = tuple(index[inside].T)
        found = np.unravel_index(
            self._nearest[np.ravel_multi_index(asked, self._shape)], self._shape
        )
        distance = np.full(len(queries), np.inf)
        apart = [a - b for a, b in zip(asked, found, strict=True)]
        distance[inside] = _length(apart, self._spacing)
        return distance


class RowIndex:
    """Distances along x to the points of each row of voxels, and which rows lie near a query.

    The squared distance to the nearest point is the smallest sum of two parts over all rows: the
    squared distance of the row, and within it that of its nearest point. Rows are looked at from
    the nearest on, and a query is answered once the next row lies farther than what it found.

    Args:
        points: Shape [n, 3], n > 0, in array order.
        spacing: Shape [3], in mm.
    """

    def __init__(self, points: IntArray, spacing: FloatArray) -> None:
        self._steps, self._step_squared = _row_steps(float(spacing[0]), float(spacing[1]))
        self._reach = np.abs(self._steps).max(axis=0)
        sideways = int(np.sqrt(self._step_squared[-1]) / spacing[2]) + 1
        # A query lies within reach of the box; the rows it looks at, within twice that.
        pad = np.array([*(2 * self._reach), sideways])
        self._low = points.min(axis=0) - pad
        self._shape = points.max(axis=0) - self._low + pad + 1
        self._points, self._spacing = points, spacing
        row = self._row_of(points - self._low)
        self._starts_row = np.concatenate([[True], row[1:] != row[:-1]])

    @property
    def cells(self) -> int:
        """Number of table cells."""
        return int((self._starts_row.sum() + 1) * self._shape[2])

    def distances(self, queries: IntArray, fewest: int = 1) -> FloatArray:
        """Return the distances [m] of ``queries`` [m, 3], inf for those out of reach.

        Args:
            queries: In any order.
            fewest: Where fewer are open, they count as out of reach.
        """
        index = queries - self._low
        border = np.array([*self._reach, 0])
        who = np.flatnonzero(((index >= border) & (index < self._shape - border)).all(axis=1))
        row, x = self._row_of(index[who]), index[who, 2]
        squared, best = np.full(len(queries), np.inf), np.full(len(who), np.inf)
        stop, last = 0, (len(self._steps) - 1) // _BLOCK * _BLOCK
        while stop < last:
            start, stop = stop, min(last, stop + max(_BLOCK, _together(who)))
            self._look(row, x, best, slice(start, stop))
            open_ = best > self._step_squared[stop]
            squared[who[~open_]] = best[~open_]
            who, row, x, best = who[open_], row[open_], x[open_], best[open_]
            if len(who) < fewest:
                break
        distance: FloatArray = np.sqrt(squared)
        return distance

    def _look(self, row: IntArray, x: IntArray, best: FloatArray, part: slice) -> None:
        """Lower ``best`` to what the rows of ``part`` hold."""
        column, squared = self._tables
        offset = x * len(squared.T)
        flat = squared.ravel()
        steps = self._steps[part] @ (self._shape[1], 1)
        apart = self._step_squared[part]
        count = _together(row)
        for start in range(0, len(steps), count):
            some = slice(start, start + count)
            # Clipping never happens; it spares take the buffer that checking bounds needs.
            place = column.take(steps[some, None] + row, mode="clip")
            place += offset
            found = flat.take(place, mode="clip")
            found += apart[some, None]
            np.minimum(best, found.min(axis=0), out=best)

    @cached_property
    def _tables(self) -> tuple[IntArray, FloatArray]:
        """Column of each row (0: no points), and squared distances in mm² [x, column].

        Columns run along the second axis, so that sweeping along x works on whole columns.
        """
        index = self._points - self._low
        row, x = self._row_of(index), index[:, 2]
        place = np.cumsum(self._starts_row)
        width, columns = int(self._shape[2]), int(place[-1]) + 1
        column = np.zeros(self._shape[0] * self._shape[1], dtype=np.intp)
        column[row[self._starts_row]] = np.arange(1, columns)
        last = np.full((width, columns), -4 * width, dtype=np.int32)
        following = np.full((width, columns), 4 * width, dtype=np.int32)
        last[x, place] = following[x, place] = x
        for i in range(1, width):
            np.maximum(last[i], last[i - 1], out=last[i])
            np.minimum(following[-1 - i], following[-i], out=following[-1 - i])
        here = np.arange(width, dtype=np.int32)[:, None]
        gap = np.minimum(here - last, following - here)
        squared = np.multiply(gap, self._spacing[2], dtype=np.float64)
        squared *= squared
        squared[:, 0] = np.inf
        return column, squared

    def _row_of(self, index: IntArray) -> IntArray:
        row: IntArray = index[:, 0] * self._shape[1] + index[:, 1]
        return row


def _together(queries: IntArray) -> int:
    """Of how many rows the places of all ``queries`` are looked up in one call."""
    return max(1, _TOGETHER // max(1, len(queries)))


def _length(steps: Sequence[IntArray] | IntArray, spacing: FloatArray) -> FloatArray:
    """Length in mm of voxel steps, one array per axis, added up in the order of :class:`RowIndex`.

    Whichever way leads to a point, its distance has the same bits.
    """
    squared: FloatArray = sum((step * mm) ** 2 for step, mm in zip(steps, spacing, strict=True))
    return np.sqrt(squared)


@lru_cache(maxsize=64)
def _row_steps(z_mm: float, y_mm: float) -> tuple[IntArray, FloatArray]:
    """Steps [k, 2] from a row to those around it, nearest first, and their squared distances."""
    # A circle of this radius holds about twice as many rows as are asked for.
    radius = np.sqrt(2 * _ROWS * z_mm * y_mm / np.pi)
    z, y = int(radius / z_mm) + 1, int(radius / y_mm) + 1
    steps = np.mgrid[-z : z + 1, -y : y + 1].reshape(2, -1).T
    squared = ((steps * (z_mm, y_mm)) ** 2).sum(axis=1)
    order = np.argsort(squared, kind="stable")
    order = order[squared[order] <= radius**2][: _ROWS + 1]
    return steps[order], squared[order]
