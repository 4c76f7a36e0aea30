"""The worker of the threshold sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from camzoo.cams.map_files import MapFiles
from camzoo.core.progress import Tick
from camzoo.core.stored import write_frame
from camzoo.data.slices import Prepared
from camzoo.evaluate.measure import sweep_maps
from camzoo.evaluate.prepared_cases import mapped_cases
from camzoo.evaluate.result_files import CURVES
from camzoo.metrics.threshold_rules.frozen import FROZEN


def make_curves(
    folder: Path, prepared: Prepared, maps: Path, thresholds: Sequence[float], tick: Tick
) -> None:
    """Count the overlap of maps with the masks at all thresholds, and look at these without."""
    cases = mapped_cases(prepared, {"": MapFiles.open(maps)})
    write_frame(sweep_maps(cases, thresholds, tick, FROZEN)[""], folder / CURVES)
