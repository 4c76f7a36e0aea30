"""``camzoo tuned``: settings that each fold chooses for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camzoo.core.output import AsJson, BeQuiet, Output


def tuned(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of runs on one data set that differ in settings; or of one."),
    ],
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Let each fold choose among settings on its validation patients; score its test patients."""
    from camzoo.report.merged_runs import merge_runs
    from camzoo.report.terminal import text_table
    from camzoo.report.tuned import choice_table, require_tuned, tuned_record, tuned_table

    output = Output(as_json, quiet)
    with output.reporting() as reporter, reporter.stage("choosing"):
        found = require_tuned(merge_runs(runs))
    output.document({"methods": [tuned_record(one) for one in found]})
    output.show(text_table("Settings chosen on validation patients", tuned_table(found)))
    output.show(text_table("By fold and seed", choice_table(found)))
