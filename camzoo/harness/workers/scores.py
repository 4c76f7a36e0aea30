"""The worker of the scores of maps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from camzoo.cams.map_files import MapFiles
from camzoo.core.progress import Tick
from camzoo.core.stored import write_frame
from camzoo.data.slices import Prepared
from camzoo.evaluate.choose import Choices
from camzoo.evaluate.measure import measure_maps
from camzoo.evaluate.prepared_cases import mapped_cases
from camzoo.evaluate.result_files import SCORES


def score_maps(
    folders: Mapping[str, Path],
    prepared: Prepared,
    maps: Mapping[str, Path],
    choices: Mapping[str, Choices],
    tick: Tick,
) -> None:
    """Measure maps at their chosen thresholds, a folder per method; each case is read once."""
    files = {name: MapFiles.open(maps[name]) for name in folders}
    scored = measure_maps(mapped_cases(prepared, files), choices, tick)
    for name, folder in folders.items():
        write_frame(pd.DataFrame.from_records(scored[name]), folder / SCORES)
