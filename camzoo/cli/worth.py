"""``camzoo worth``: as good as how many annotated patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camzoo.core.output import AsJson, BeQuiet, Output


def worth(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run folders on one data set; one has supervised:patients=N."),
    ],
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Say for every method how many annotated patients would have given as good a segmentation."""
    from camzoo.report.merged_runs import merge_runs
    from camzoo.report.terminal import text_table
    from camzoo.report.worth import (
        bound_table,
        exchange_record,
        require_exchange,
        validation_note,
        worth_table,
    )

    output = Output(as_json, quiet)
    with output.reporting() as reporter, reporter.stage("comparing"):
        found = require_exchange(merge_runs(runs))
    output.document(exchange_record(found))
    output.show(text_table("The U-Net on masks of so many patients", bound_table(found)))
    about = f"{found.volumes} test volumes, {found.cells}"
    output.show(text_table(f"As good as masks of so many patients: {about}", worth_table(found)))
    output.say(f"note: {validation_note(found)}")
