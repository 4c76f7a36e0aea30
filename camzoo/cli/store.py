"""``camzoo store``: what a folder of runs keeps, whether it is sound, and what nobody needs."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from camzoo.core.output import AsJson, BeQuiet, Output

if TYPE_CHECKING:
    from camzoo.harness.upkeep import Entry

Out = Annotated[Path, typer.Option(help="Folder of runs, with their store.")]
store_app = typer.Typer(
    help="Look after the results that runs share: list, verify, clear up.", no_args_is_help=True
)


@store_app.command(name="ls")
def list_(out: Out = Path("runs"), as_json: AsJson = False) -> None:
    """List the results by stage: size, age, what made them, which runs refer to them."""
    from camzoo.harness.upkeep import list_store

    entries, output = list_store(out), Output(as_json)
    output.document({"results": [asdict(entry) for entry in entries]})
    table = Table(box=SIMPLE_HEAD)
    for heading in ("result", "size", "last used", "made of", "by", "runs"):
        table.add_column(heading, no_wrap=heading == "result")
    for entry in entries:
        table.add_row(*_cells(entry))
    if entries:
        output.show(table)
    total = sum(entry.size for entry in entries)
    output.tell(f"{len(entries)} results, {_mib(total)}")


@store_app.command()
def verify(out: Out = Path("runs"), as_json: AsJson = False, quiet: BeQuiet = False) -> None:
    """Compare all results and all runs with their checksums; exit 1 if anything is damaged."""
    from camzoo.core.errors import CamzooError
    from camzoo.harness.upkeep import damaged_results, run_folders
    from camzoo.report.records import read_record

    output = Output(as_json, quiet)
    with output.reporting() as reporter:
        faults = damaged_results(out, reporter)
        runs = run_folders(out)
        with reporter.stage(f"rows and checksums of {len(runs)} runs") as tick:
            for done, run in enumerate(runs):
                try:
                    read_record(run)
                except CamzooError as error:
                    faults.append(str(error))
                tick(done + 1, len(runs))
    output.document({"damaged": faults})
    for fault in faults:
        output.tell(fault)
    if faults:
        raise typer.Exit(1)
    output.say(f"{out}: everything is as it was written")


@store_app.command()
def gc(
    out: Out = Path("runs"),
    keep_days: Annotated[
        float, typer.Option(min=0, help="Keep what was made or used in so many days.")
    ] = 7,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without, only say what.")] = False,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Remove results that no run refers to, and what killed or damaged work left behind."""
    from camzoo.core.files import storing
    from camzoo.harness.upkeep import clear, find_waste

    output = Output(as_json, quiet)
    with storing(out):
        waste = find_waste(out, keep_days)
        waste = clear(waste) if yes else waste
    total = sum(each.size for each in waste)
    listed = [{"path": each.path, "size": each.size, "why": each.why} for each in waste]
    output.document({"removed": yes, "size": total, "waste": listed})
    for each in waste:
        output.say(f"{each.path.relative_to(out)}  {_mib(each.size)}  {each.why}")
    said = "removed" if yes else "would be removed; --yes does it"
    output.tell(f"{len(waste)} files and folders, {_mib(total)}, {said}")


def _cells(entry: Entry) -> tuple[str, ...]:
    made, day = entry.made, time.strftime("%Y-%m-%d", time.localtime(entry.used))
    by = f"{made.device}, commit {str(made.environment.get('commit'))[:8]}" if made else "?"
    kind = made.work.kind if made else "?"
    return entry.name, _mib(entry.size), day, kind, by, ", ".join(entry.runs) or "none"


def _mib(size: int) -> str:
    """Write a number of bytes as people read it."""
    return f"{size / 2**20:.1f} MiB"
