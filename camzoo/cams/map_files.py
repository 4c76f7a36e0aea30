"""Maps of one method on disk, memory-mapped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from camzoo.cams.map_arrays import MapArrays
from camzoo.core.files import reserve
from camzoo.core.stored import read_array
from camzoo.data.slices import CaseInfo

_FILES = {"maps": np.float16, "status": np.uint8, "peak": np.float32}
_AXES = {"maps": (None,) * 4, "status": (None,) * 2, "peak": (None,) * 2}


@dataclass
class MapFiles(MapArrays):
    """Finished maps of which each array is a ``.npy`` file of a folder."""

    @classmethod
    def create(cls, folder: Path, slices: int, classes: int, size: int) -> MapFiles:
        """Lay out files for ``slices`` slices in ``folder``."""
        shape = (slices, classes, size, size)
        arrays = {}
        for name, dtype in _FILES.items():
            path = folder / f"{name}.npy"
            own = shape[: len(_AXES[name])]
            arrays[name] = np.lib.format.open_memmap(path, "w+", dtype, own)
            reserve(path)
        return cls(**arrays)

    @classmethod
    def open(cls, folder: Path) -> MapFiles:
        """Open what :meth:`create` laid out, for reading."""
        return cls(
            **{
                name: read_array(folder / f"{name}.npy", dtype, _AXES[name])
                for name, dtype in _FILES.items()
            }
        )

    def flush(self) -> None:
        """Bring everything to disk."""
        for array in (self.maps, self.status, self.peak):
            if isinstance(array, np.memmap):
                array.flush()

    def volume(self, info: CaseInfo) -> Tensor:
        """Maps of a case on the grid of its scan: float32 [C, z, y, x]."""
        return info.on_scan(torch.from_numpy(np.array(self.maps[info.rows])))

    def slice(self, info: CaseInfo, number: int) -> Tensor:
        """Maps of one slice of a case in the voxels of its scan: float32 [C, rows, columns]."""
        stored = torch.from_numpy(np.array(self.maps[info.first + number]))
        return info.letterbox.from_grid(stored[None])[0]
