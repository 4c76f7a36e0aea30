"""Tables for the terminal."""

from __future__ import annotations

from typing import Final

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from camzoo.core.text import plain
from camzoo.report.segmentation import NOT_RUN, of_baselines, of_maps, segmentation_table
from camzoo.report.tables import of_aided, of_oracles, of_weak, pooled_table, volume_table

#: Characters of a name that stays on one line.
_WHOLE: Final = 40
_SHORT: Final = ["method", "DSC (%)", "95 % interval", "ASD (mm)", "MAD (mm)", "failed"]


def summary(rows: pd.DataFrame) -> list[Table]:
    """The tables a run ends with: two about maps, the same about what is not ranked, baselines."""
    maps, segmented = of_maps(rows), of_baselines(rows)
    tables = []
    for part, mark in (
        (of_weak(maps), ""),
        (of_aided(maps), ", with masks of other images: not ranked"),
        (of_oracles(maps), ", with masks: not weak"),
    ):
        if len(part):
            pooled = pooled_table(part).drop(columns="supervision")
            volumes = volume_table(part)[_SHORT]
            tables += [
                text_table(f"Pseudo-masks of the training slices, pooled DSC (%){mark}", pooled),
                text_table(f"Volumes of the test patients, threshold validated{mark}", volumes),
            ]
    if len(segmented):
        unet = segmentation_table(segmented)
        unet = unet.loc[unet["DSC (%)"] != NOT_RUN, ["method", "supervision", *_SHORT[1:]]]
        tables.append(text_table("Baselines: volumes of the test patients", unet))
    return tables


def text_table(title: str, frame: pd.DataFrame) -> Table:
    """Show a frame whose cells are finished."""
    table = Table(title=escape(plain(title)), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for position, column in enumerate(frame.columns):
        widest = max((len(str(value)) for value in frame.iloc[:, position]), default=0)
        narrow = position == 0 and widest <= _WHOLE
        table.add_column(escape(plain(column)), overflow="fold", no_wrap=narrow)
    for row in frame.itertuples(index=False, name=None):
        table.add_row(*(escape(plain(value)) for value in row))
    return table
