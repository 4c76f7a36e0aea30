"""Digests of what a data set holds, whatever folder, file format or time it comes from."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from camzoo.data.slices import CaseInfo

#: Digits behind the point of a millimetre that count: below, libraries round differently.
_DIGITS: Final = 4


class Content:
    """Takes in the cases of a data set one by one.

    Scans and labels are told apart: labels can be corrected while the scans stay. The working grid
    is no content. It is chosen, and the same scans on another grid are the same data.

    Args:
        organs: Names of classes 1..C: two data sets that call one voxel differently are not one.
    """

    def __init__(self, organs: tuple[str, ...]) -> None:
        self._images = hashlib.sha256()
        self._labels = hashlib.sha256(repr(organs).encode())

    def add(self, info: CaseInfo, voxels: NDArray[np.float32], label: NDArray[np.uint8]) -> None:
        """Take in a case: its geometry, the grey values and the classes of its voxels (z, y, x)."""
        # Adding zero turns -0.0, which is written differently, into 0.0.
        affine = (np.round(info.affine, _DIGITS) + 0.0).tolist()
        place = repr((info.id, info.patient, info.shape, affine)).encode()
        self._images.update(place)
        self._images.update(np.ascontiguousarray(voxels, dtype="<f4").data)
        self._labels.update(info.id.encode())
        self._labels.update(np.ascontiguousarray(label).data)

    @property
    def images(self) -> str:
        """Digest of the scans: cases, patients, geometry and grey values."""
        return self._images.hexdigest()

    @property
    def labels(self) -> str:
        """Digest of the reference labels and of what their classes are called."""
        return self._labels.hexdigest()
