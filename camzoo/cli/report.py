"""``camzoo report``: a page to look at, made of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camzoo.core.output import AsJson, BeQuiet, Output


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Annotated[Path, typer.Option(help="Folder of the report.")],
    include_images: Annotated[
        bool,
        typer.Option(
            "--include-images",
            help="Show scans of real patients, too, where their licence lets you pass them on.",
        ),
    ] = False,
    cases: Annotated[int, typer.Option(min=0, help="Cases of each run that can be viewed.")] = 12,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Write a page with tables, curves and cases of runs, to be opened from disk."""
    from camzoo.core.files import storing
    from camzoo.report.html.pages import write_report

    output = Output(as_json, quiet)
    with output.reporting() as reporter, reporter.stage("report"), storing(out):
        page = write_report(runs, out, include_images=include_images, cases=cases)
    output.document({"report": str(page)})
    output.tell(str(page))
