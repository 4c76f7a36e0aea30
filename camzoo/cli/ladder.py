"""``camzoo ladder``: what each way of scoring in the literature adds to the same predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camzoo.core.output import AsJson, BeQuiet, Output


def ladder(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders, with those split by volume beside them.")
    ],
    by_method: Annotated[
        bool, typer.Option("--by-method", help="What each way adds to each method, too.")
    ] = False,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Score the same predictions in every way of the literature, and say who wins by each."""
    from camzoo.report.ladder import (
        distance_table,
        ladder_record,
        ladder_table,
        ladders_of,
        method_table,
    )
    from camzoo.report.records import read_record
    from camzoo.report.terminal import text_table

    output = Output(as_json, quiet)
    found = ladders_of([read_record(run) for run in runs])
    output.document({run: [ladder_record(one) for one in mine] for run, mine in found.items()})
    for run, mine in found.items():
        for one in mine:
            name = f"{run}, {one.what} of the test patients"
            output.show(text_table(f"{name}: DSC (%)", ladder_table(one)))
            output.show(text_table(f"{name}: ASD", distance_table(one)))
            if by_method:
                output.show(text_table(f"{name}: DSC (%) by method", method_table(one)))
