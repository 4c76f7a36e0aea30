"""Rows of what may be ranked: test patients, whole organs, methods that saw no masks."""

from __future__ import annotations

from typing import Final

import pandas as pd

from camzoo.core.protocol import Protocol
from camzoo.evaluate.rows import SEGMENTATION
from camzoo.metrics.subregions import WHOLE
from camzoo.report.equivalents import merge_equivalents
from camzoo.report.records import Record
from camzoo.report.segmentation import of_baselines, of_maps, rankable
from camzoo.report.tables import HEADLINE, of_weak

#: What is scored.
MAPS: Final = "maps"
VOLUMES: Final = "segmented volumes"


def contenders(record: Record) -> dict[str, pd.DataFrame]:
    """Return the rows of maps, at every protocol, and of volumes that baselines segmented.

    Methods that are one by construction share their rows. What a run has none of is absent.
    """
    rows = record.rows
    rows = rows[(rows["subset"] == "test") & (rows["region"] == WHOLE)]
    maps, _ = merge_equivalents(of_weak(of_maps(rows)), record.manifest["equivalent"])
    volumes = of_baselines(rows)
    parts = {MAPS: maps, VOLUMES: rankable(volumes[volumes["stage"] == SEGMENTATION])}
    return {what: part for what, part in parts.items() if len(part)}


def of_protocol(rows: pd.DataFrame, protocol: Protocol = HEADLINE) -> pd.DataFrame:
    """Rows of one protocol; a segmented volume has one way alone, which is the headline."""
    if not len(rows) or rows["stage"].iloc[0] != SEGMENTATION:
        return rows[rows["protocol"] == protocol.value]
    return rows if protocol is HEADLINE else rows.iloc[:0]
