"""``camzoo ranks``: how far the ranks of a run may be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camzoo.core.output import AsJson, BeQuiet, Output


def ranks(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    metrics: Annotated[
        str, typer.Option(help="Metrics to rank by, comma-separated.")
    ] = "dsc,asd_mm,mad_mm",
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Say in which ranks each method may be, by each metric, and how far the metrics agree."""
    from camzoo.core.errors import ConfigError
    from camzoo.core.spec import split_names
    from camzoo.metrics.definitions import get_metric
    from camzoo.report.merged import merge
    from camzoo.report.ranks import agreement_table, rank_record, rank_table, rankings
    from camzoo.report.records import read_record
    from camzoo.report.terminal import text_table

    output = Output(as_json, quiet)
    names = split_names(metrics)
    for name in names:
        get_metric(name)
    found = rankings(merge([read_record(run)]))
    if not found:
        raise ConfigError(f"{run} has no two methods with rows of test patients to rank")
    output.document({what: rank_record(rows, names) for what, rows in found.items()})
    if as_json:
        return
    for what, rows in found.items():
        output.show(text_table(f"{what} of the test patients: ranks", rank_table(rows, names)))
        output.show(text_table("How far rankings agree (tau)", agreement_table(rows, names)))
