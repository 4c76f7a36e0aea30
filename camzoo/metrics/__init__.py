"""Numbers: overlap, surface distances, threshold sweeps, statistics."""

from camzoo.metrics.surface import ReferenceSurface, SurfaceDistances, surface_distances
from camzoo.metrics.sweep import SweepCounts, apply_threshold, threshold_sweep

__all__ = [
    "ReferenceSurface",
    "SurfaceDistances",
    "SweepCounts",
    "apply_threshold",
    "surface_distances",
    "threshold_sweep",
]
