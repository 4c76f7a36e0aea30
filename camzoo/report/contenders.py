"""Rows of what may be ranked: test patients, whole organs, methods that saw no masks."""

from __future__ import annotations

from typing import Final

import pandas as pd

from camzoo.core.protocol import Protocol
from camzoo.evaluate.rows import SEGMENTATION
from camzoo.metrics.subregions import WHOLE
from camzoo.report.common_cells import Common, common
from camzoo.report.merged import Merged
from camzoo.report.tables import HEADLINE, of_weak

#: What is scored.
MAPS: Final = "maps"
VOLUMES: Final = "segmented volumes"


def scored(merged: Merged) -> dict[str, pd.DataFrame]:
    """Return the rows of maps, at every protocol, and of volumes that baselines segmented.

    Maps that were made with whole masks, of these or other images, are not among them. What there
    is nothing of is absent.
    """
    volumes = merged.baselines[merged.baselines["stage"] == SEGMENTATION]
    parts = {MAPS: whole_of_test(of_weak(merged.maps)), VOLUMES: whole_of_test(volumes)}
    return {what: part for what, part in parts.items() if len(part)}


def rivals(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of methods that may be ranked; a baseline behind which masks stand may not."""
    if not _are_volumes(rows):
        return rows
    return of_weak(rows)


def common_of(rows: pd.DataFrame) -> Common:
    """What the rivals among rows of :func:`scored` are compared on."""
    mine = of_protocol(rows)
    return common(mine, rivals(mine))


def contenders(merged: Merged) -> dict[str, pd.DataFrame]:
    """Return the rows of those that are ranked, on the cells that they have in common.

    Methods that are one by construction share their rows. What there is nothing of is absent.
    """
    found = {}
    for what, rows in scored(merged).items():
        mine = rivals(rows)
        if len(of_protocol(mine)):
            shared = common_of(rows)
            found[what] = shared.even(mine[shared.has(mine)])
    return found


def of_protocol(rows: pd.DataFrame, protocol: Protocol = HEADLINE) -> pd.DataFrame:
    """Rows of one protocol; a segmented volume has one way alone, which is the headline."""
    if not _are_volumes(rows):
        return rows[rows["protocol"] == protocol.value]
    return rows if protocol is HEADLINE else rows.iloc[:0]


def whole_of_test(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of whole organs of test cases."""
    return rows[(rows["subset"] == "test") & (rows["region"] == WHOLE)]


def _are_volumes(rows: pd.DataFrame) -> bool:
    return bool(len(rows)) and rows["stage"].iloc[0] == SEGMENTATION
