"""The square working grid of slices, and the way back to the grid of the scan."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Letterbox:
    """Fits slices of one shape into a square without changing their aspect.

    A slice is centred in the smallest square that holds it, with zeros around it, and the square is
    resized. A mirrored slice therefore falls on its mirror image.

    Attributes:
        height: Rows of the slice.
        width: Columns of the slice.
    """

    height: int
    width: int

    @property
    def side(self) -> int:
        """Side of the square in voxels of the scan."""
        return max(self.height, self.width)

    @property
    def top(self) -> int:
        """Rows of zeros above the slice."""
        return (self.side - self.height) // 2

    @property
    def left(self) -> int:
        """Columns of zeros left of the slice."""
        return (self.side - self.width) // 2

    def to_grid(self, slices: Tensor, size: int) -> Tensor:
        """Fit float ``slices`` [N, height, width] into [N, size, size], with antialiasing."""
        right = self.side - self.width - self.left
        bottom = self.side - self.height - self.top
        square = F.pad(slices[:, None], (self.left, right, self.top, bottom))
        if size == self.side:
            return square[:, 0]
        return F.interpolate(
            square, size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )[:, 0]

    def labels_to_grid(self, labels: Tensor, size: int) -> Tensor:
        """Fit integer ``labels`` [N, height, width] into [N, size, size] by nearest neighbour."""
        right = self.side - self.width - self.left
        bottom = self.side - self.height - self.top
        square = F.pad(labels[:, None].float(), (self.left, right, self.top, bottom))
        return F.interpolate(square, size=(size, size), mode="nearest-exact")[:, 0].to(labels.dtype)

    def from_grid(self, maps: Tensor) -> Tensor:
        """Bring ``maps`` [N, C, s, s] of any side back to [N, C, height, width], bilinearly."""
        square = F.interpolate(
            maps.float(), size=(self.side, self.side), mode="bilinear", align_corners=False
        )
        return square[:, :, self.top : self.top + self.height, self.left : self.left + self.width]
