"""Numbers: overlap, surface distances, threshold sweeps, protocols, summaries of result rows.

The names below are public (:mod:`camzoo`) and imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from camzoo.core.lazy import lazily

if TYPE_CHECKING:  # the same names for type checkers and editors
    from camzoo.metrics.case import CaseReference as CaseReference
    from camzoo.metrics.comparison import compare_to_best as compare_to_best
    from camzoo.metrics.definitions import metrics_table as metrics_table
    from camzoo.metrics.overlap import dice as dice
    from camzoo.metrics.overlap import overlap_counts as overlap_counts
    from camzoo.metrics.ranked_rows import rank_intervals as rank_intervals
    from camzoo.metrics.ranked_rows import significance as significance
    from camzoo.metrics.summary import summarise as summarise
    from camzoo.metrics.surface import ReferenceSurface as ReferenceSurface
    from camzoo.metrics.surface import SurfaceDistances as SurfaceDistances
    from camzoo.metrics.surface import surface_distances as surface_distances
    from camzoo.metrics.sweep import SweepCounts as SweepCounts
    from camzoo.metrics.sweep import apply_threshold as apply_threshold
    from camzoo.metrics.sweep import threshold_sweep as threshold_sweep
    from camzoo.metrics.threshold_choice import apply_protocol as apply_protocol
else:  # a module with __getattr__ would have every name to a type checker
    __getattr__, __dir__, __all__ = lazily(
        __name__,
        {
            "camzoo.metrics.case": ("CaseReference",),
            "camzoo.metrics.comparison": ("compare_to_best",),
            "camzoo.metrics.definitions": ("metrics_table",),
            "camzoo.metrics.overlap": ("dice", "overlap_counts"),
            "camzoo.metrics.ranked_rows": ("rank_intervals", "significance"),
            "camzoo.metrics.threshold_choice": ("apply_protocol",),
            "camzoo.metrics.summary": ("summarise",),
            "camzoo.metrics.surface": ("ReferenceSurface", "SurfaceDistances", "surface_distances"),
            "camzoo.metrics.sweep": ("SweepCounts", "apply_threshold", "threshold_sweep"),
        },
    )
