"""The options of ``camzoo score``: what each takes, and what it says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Masks = Annotated[Path, typer.Option(help="Folder of references: a label file per case.")]
Maps = Annotated[
    Path | None, typer.Option(help="Folder of heat maps, or of one folder per method.")
]
Predictions = Annotated[
    Path | None, typer.Option(help="Folder of predicted labels, or of one folder per method.")
]
Spacing = Annotated[
    str | None, typer.Option(help="z=3,y=0.6,x=0.6 in mm; for references without a header.")
]
Organs = Annotated[str | None, typer.Option(help="Names of classes 1..C, by comma.")]
Images = Annotated[
    Path | None, typer.Option(help="Folder of the scans: maps get the protocol mask-free, too.")
]
Patients = Annotated[Path | None, typer.Option(help="CSV with the columns case and patient.")]
AllowMissing = Annotated[
    bool, typer.Option("--allow-missing", help="Count missing predictions as failures.")
]
Thirds = Annotated[bool, typer.Option("--thirds", help="Score apex, mid and base too.")]
Slices = Annotated[
    str,
    typer.Option(help="Plane of the columns per slice: acquired (across the thick axis) or axial."),
]
Normalise = Annotated[
    str, typer.Option(help="Of maps, by class over the volume: none, max or minmax.")
]
Fixed = Annotated[float, typer.Option(help="Threshold of the protocol fixed.")]
Metrics = Annotated[
    str, typer.Option(help="Further columns of the tables: names of camzoo list metrics.")
]
Out = Annotated[Path | None, typer.Option(help="Folder for rows, curves and tables.")]
