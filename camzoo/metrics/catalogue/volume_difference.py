"""How much too large or too small a prediction is."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from camzoo.metrics.base import CountMetric, Direction, VoxelCounts, register_metric
from camzoo.metrics.overlap import volume_difference_ml


@register_metric("volume_difference_ml")
class VolumeDifference(CountMetric):
    """Predicted minus reference volume."""

    label = "volume difference"
    unit = "ml"
    direction = Direction.ZERO
    range = (-np.inf, np.inf)
    definition = "volume of the prediction minus volume of the reference"
    one_empty = "the other's volume, signed"
    stored = False
    pooled = False
    order = 50

    @property
    def worst(self) -> str:
        """What a failure counts as: all is missed."""
        return "minus the volume of the reference"

    def worst_of(self, rows: pd.DataFrame) -> pd.Series[float]:
        """Return the difference that an empty prediction would have."""
        return self.derive(rows.assign(tp=0, n_pred=0))

    def from_counts(self, counts: VoxelCounts) -> ArrayLike:
        """Return the difference in millilitres."""
        return volume_difference_ml(counts.n_pred, counts.n_ref, counts.voxel_mm3)
