"""``camzoo report``: a page to look at, made of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camzoo.core.output import AsJson, BeQuiet, Output


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Annotated[Path, typer.Option(help="Folder of the report.")],
    csv: Annotated[bool, typer.Option("--csv", help="Also the numbers, as CSV.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Also tables for a paper.")] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Also figures for a paper, as PNG, PDF and SVG.")
    ] = False,
    nifti: Annotated[
        bool, typer.Option("--nifti", help="Also maps and masks of the cases, as NIfTI.")
    ] = False,
    include_images: Annotated[
        bool,
        typer.Option(
            "--include-images",
            help="Show scans of real patients, too, and export what was made of them, where their "
            "licence lets you pass them on.",
        ),
    ] = False,
    cases: Annotated[
        int,
        typer.Option(
            min=0, help="Cases of each run that are shown and exported, shared by its folds."
        ),
    ] = 12,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Write a page with tables, curves and cases of runs, to be opened from disk."""
    from camzoo.core.files import storing
    from camzoo.report.folder import Export, write_report

    asked = dict(zip(Export, (csv, latex, figures, nifti), strict=True))
    exports = [export for export, wanted in asked.items() if wanted]
    output = Output(as_json, quiet)
    with output.reporting() as reporter, reporter.stage("report"), storing(out):
        page = write_report(runs, out, exports=exports, include_images=include_images, cases=cases)
    folders = {export.value: str(page.parent / export) for export in exports}
    output.document({"report": str(page), **folders})
    for place in (page, *folders.values()):
        output.tell(str(place))
