"""``camzoo sanity``: whether maps are about the image and the trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camzoo.cli import cell_arguments as arguments
from camzoo.core.output import AsJson, BeQuiet, Output


def sanity(
    run: arguments.Run,
    fold: arguments.Fold = None,
    seed: arguments.Seed = None,
    cases: Annotated[
        int | None, typer.Option(min=1, help="Most test cases, in the order of patients.")
    ] = None,
    draw: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of noise, fields and random weights.")
    ] = 0,
    weights: Annotated[
        Path | None, typer.Option(help="The file of weights that the run started from.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder for sanity.json and sanity.md.")] = None,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Say where maps lie, and whether they stay the same with random weights, seeds and noise."""
    from camzoo.report.sanity import sanity_notes, sanity_record, sanity_tables, write_sanity
    from camzoo.report.sanity_maps import examine
    from camzoo.report.terminal import text_table

    output = Output(as_json, quiet)
    with output.reporting() as reporter:
        found = examine(
            run, fold=fold, seed=seed, cases=cases, draw=draw, weights=weights, device=device,
            reporter=reporter,
        )  # fmt: skip
    if out is not None:
        write_sanity(found, out)
    output.document(sanity_record(found))
    for title, frame in sanity_tables(found).items():
        output.show(text_table(title, frame))
    for note in sanity_notes(found):
        output.say(f"note: {note}")
