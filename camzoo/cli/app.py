"""The command line: parse, call, print."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import Annotated, Any

import typer

from camzoo import __version__
from camzoo.cli.bench import bench
from camzoo.cli.compare import compare
from camzoo.cli.data import data_app
from camzoo.cli.ending import run_to_the_end
from camzoo.cli.grid import grid_app
from camzoo.cli.ladder import ladder
from camzoo.cli.leaderboard import leaderboard
from camzoo.cli.ranks import ranks
from camzoo.cli.report import report
from camzoo.cli.sanity import sanity
from camzoo.cli.score import score
from camzoo.cli.store import store_app
from camzoo.cli.student import student
from camzoo.cli.submit import submit_app
from camzoo.cli.tuned import tuned
from camzoo.cli.worth import worth
from camzoo.cli.zoo import check, layers, list_
from camzoo.core.console import make_console
from camzoo.core.errors import ConfigError
from camzoo.core.output import AsJson, BeQuiet, Output

app = typer.Typer(
    name="camzoo",
    help="Which class activation map gives the best masks, by how much, and can it be believed?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.add_typer(store_app, name="store")
app.add_typer(grid_app, name="grid")
app.add_typer(submit_app, name="submit")
app.command()(bench)
app.command(name="list")(list_)
app.command()(layers)
app.command()(check)
app.command()(score)
app.command()(report)
app.command()(leaderboard)
app.command()(compare)
app.command()(ladder)
app.command()(ranks)
app.command()(sanity)
app.command()(student)
app.command()(tuned)
app.command()(worth)
console = make_console()


def _print_version(wanted: bool) -> None:
    if wanted:
        console.print(f"camzoo {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take what stands in front of a command."""


@app.command()
def settings(
    pattern: Annotated[
        str, typer.Argument(help="Part of a name, as epochs; or a pattern, as 'training.*'.")
    ] = "*",
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The page docs/settings.md, with all of them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the settings of a run: what each takes, its default, and what it means."""
    from camzoo.cli import settings_page

    if markdown:
        sys.stdout.write(settings_page.markdown())
        return
    found = settings_page.all_settings(pattern)
    if not found:
        raise ConfigError(f"no setting matches {pattern!r}; camzoo settings shows all")
    output = Output(as_json)
    output.document({"settings": [setting.record() for setting in found]})
    for setting in found:
        in_presets = "".join(f"; {value} in {name}" for name, value in setting.presets.items())
        output.tell(f"{setting.name} = {setting.default}{in_presets}", style="bold")
        output.tell(f"    {setting.range}. {setting.meaning}")


@app.command()
def doctor(as_json: AsJson = False, quiet: BeQuiet = False) -> None:
    """Say what camzoo finds on this machine, and what is missing; exit 1 if anything is."""
    from camzoo.cli.doctor import examine

    output = Output(as_json, quiet)
    findings = examine()
    output.document({"findings": [asdict(finding) for finding in findings]})
    for finding in findings:
        if finding.good:
            output.say(f"ok      {finding.name}: {finding.text}")
        else:
            output.tell(f"PROBLEM {finding.name}: {finding.text}")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


@cache
def command() -> Callable[..., Any]:
    """The tree of all commands; to make it takes as long as many of them do."""
    return typer.main.get_command(app)


def main() -> None:
    """Entry point."""
    run_to_the_end(lambda: command()(prog_name="camzoo"))
