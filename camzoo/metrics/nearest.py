"""Distance from points of a voxel lattice to the nearest point of a surface."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

IntArray = NDArray[np.intp]
FloatArray = NDArray[np.float64]


class NearestPoint:
    """Answers how far the nearest of a set of surface voxels is.

    Args:
        points: Shape [n, d] with n > 0: lattice indices of the surface voxels.
        spacing: Shape [d]: mm per index step.
    """

    def __init__(self, points: IntArray, spacing: FloatArray) -> None:
        self._points = points
        self._spacing = spacing

    def distances(self, queries: IntArray) -> FloatArray:
        """Return the distance in mm [m] from each of ``queries`` [m, d] to its nearest point."""
        distance, _ = self._tree.query(queries * self._spacing)
        return np.asarray(distance, dtype=np.float64)

    @cached_property
    def _tree(self) -> Any:
        # The tree is queried once or a few times: an unbalanced one is cheaper altogether.
        return cKDTree(self._points * self._spacing, balanced_tree=False, compact_nodes=False)
