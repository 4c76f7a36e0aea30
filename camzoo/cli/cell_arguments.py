"""Arguments of commands that look into one fold and seed of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="Folder of a run, with its store beside it.")]
Fold = Annotated[int | None, typer.Option(help="Fold of the run; the first where none is named.")]
Seed = Annotated[
    int | None, typer.Option(help="Seed of the training; the first where none is named.")
]
