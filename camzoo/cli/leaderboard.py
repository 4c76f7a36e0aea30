"""``camzoo leaderboard``: pages from the rows of runs, or a table of those that are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from camzoo.core.errors import ConfigError
from camzoo.core.output import AsJson, BeQuiet, Output


def leaderboard(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Run folders to take in; to show, also folders of camzoo score."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of leaderboards.")] = Path("leaderboards"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where a page is out of date.")
    ] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="NAME=VALUE",
            help="Show rows of such a column or setting, as backbone=resnet50; write nothing.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="Likewise of a method, as 'c-cam*'; again for more."),
    ] = None,
    stage: Annotated[
        str | None, typer.Option("--stage", help="Likewise pseudo-mask or segmentation.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", help="Likewise all, the best by this metric first.")
    ] = None,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Write leaderboards from the rows of runs; or show those that --where and its like choose."""
    from camzoo.core.files import storing
    from camzoo.report.leaderboards import check_leaderboards, update_leaderboards

    output = Output(as_json, quiet)
    asked = bool(where or method or stage or sort)
    if asked and check:
        raise ConfigError("--check compares whole pages; leave --where and its like out")
    if asked:
        _show(output, runs or [], out, where or [], method or [], stage, sort or "dsc")
        return
    if check:
        with output.reporting() as reporter, reporter.stage("comparing"):
            check_leaderboards(out)
        output.say(f"{out}: every page agrees with its rows")
        output.document({"agree": True, "pages": []})
        return
    with output.reporting() as reporter, reporter.stage("tables"), storing(out):
        pages = [str(page) for page in update_leaderboards(runs or [], out)]
    output.document({"pages": pages})
    for page in pages:
        output.tell(page)


def _show(
    output: Output,
    runs: list[Path],
    out: Path,
    where: list[str],
    methods: list[str],
    stage: str | None,
    sort: str,
) -> None:
    """Print the lines that are asked for, of these folders or else of all records."""
    from camzoo.report.leaderboards import records_of
    from camzoo.report.overview import Condition, overview, overview_table, parse_condition
    from camzoo.report.terminal import text_table

    conditions = [parse_condition(text) for text in where]
    conditions += [Condition("method", tuple(methods))] if methods else []
    conditions += [Condition("stage", (stage,))] if stage else []
    with output.reporting() as reporter, reporter.stage("reading"):
        lines = overview(runs or records_of(out), conditions, sort=sort)
    output.document({"lines": [cells | _numbers(numbers) for cells, numbers in lines]})
    output.show(text_table(f"Test cases, by {sort}", overview_table(lines)))


def _numbers(numbers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    kept = ("mean", "std", "mean_with_failures")
    of = {name: {key: float(line[key]) for key in kept} for name, line in numbers.items()}
    return {**of, "n": int(numbers["dsc"]["n"]), "n_failed": int(numbers["dsc"]["n_failed"])}
