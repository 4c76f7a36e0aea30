"""``camzoo grid``: many runs from one file, on one machine or on a cluster."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camzoo.cli import bench_arguments as arguments
from camzoo.cli.bench import GO_ON, publish, word
from camzoo.cli.ending import StopError
from camzoo.core.errors import CamzooError
from camzoo.core.output import AsJson, BeQuiet, BeVerbose, Output
from camzoo.core.portable import compute_portably
from camzoo.core.progress import duration
from camzoo.core.spec import parse_pairs

if TYPE_CHECKING:
    from camzoo.core.progress import Reporter
    from camzoo.harness.grid.expand import GridRun
    from camzoo.harness.grid.run import Outcome
    from camzoo.harness.grid.state import CellState, GridState, RunState
    from camzoo.harness.run import BenchResult

grid_app = typer.Typer(help="Run many configurations from one file.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="TOML file of the grid (docs/cluster.md).")]
Leaderboards = Annotated[
    Path | None, typer.Option(help="Folder of leaderboards. Without: leaderboards among the runs.")
]


@grid_app.command()
def run(
    file: File,
    executor: arguments.ExecutorName = None,
    workers: arguments.Workers = None,
    address: arguments.Address = None,
    out: arguments.Runs = Path("runs"),
    leaderboards: Leaderboards = None,
    portable: arguments.Portable = False,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
    verbose: BeVerbose = False,
) -> None:
    """Make all that is missing of a grid, and one leaderboard; exit 1 if a run has no rows."""
    if portable:
        compute_portably()
    from camzoo.core.allocator import keep_freed_memory
    from camzoo.harness.executors.choose import choose_executor
    from camzoo.harness.grid.run import run_grid

    keep_freed_memory()
    output = Output(as_json, quiet, verbose)
    runs = _runs(file, output)
    chosen = choose_executor(executor, workers, address)
    try:
        with output.reporting() as reporter:
            outcomes = run_grid(runs, out, chosen, reporter)
            found = _publish(outcomes, leaderboards or out / "leaderboards", reporter)
    except StopError as stop:
        stop.advice = GO_ON
        raise
    _tell(found, output)


@grid_app.command()
def status(
    file: File,
    out: arguments.Runs = Path("runs"),
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Run a step of each network where no time of the like is stored, to foretell it.",
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Say which cells are done, running or failed, and about how long the rest takes."""
    from camzoo.harness.grid.state import state_of

    output = Output(as_json, quiet)
    with output.apart():
        found = state_of(_runs(file, output), out, measure=measure)
    output.document(found.record())
    for line in _summary(found) if quiet else _lines(found):
        output.tell(line)


@grid_app.command()
def leaderboard(
    file: File,
    out: arguments.Runs = Path("runs"),
    leaderboards: Leaderboards = None,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Write one leaderboard of all runs that are done, and, while others are not, one so far."""
    from camzoo.harness.grid.run import rows_of
    from camzoo.harness.grid.state import GridState, state_of

    output = Output(as_json, quiet)
    runs = _runs(file, output)
    folder = leaderboards or out / "leaderboards"
    with output.reporting() as reporter:
        states = state_of(runs, out).runs
        outcomes = ((each.run, rows_of(each, out, reporter)) for each in states if each.whole)
        found = _publish(outcomes, folder, reporter)
        found.missing = GridState(tuple(each for each in states if not each.whole))
        _publish_so_far(found, out, folder.with_name(f"{folder.name}-so-far"), reporter)
    for line in _lines(found.missing) if found.missing.runs else ():
        output.say(line)
    _tell(found, output)


@grid_app.command()
def slurm(
    file: File,
    out: arguments.Runs = Path("runs"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the script and the cells; submit nothing.")
    ] = False,
    partition: Annotated[str | None, typer.Option(help="Partition of the jobs.")] = None,
    time: Annotated[
        int, typer.Option(min=5, help="Minutes until a job is put back into the queue.")
    ] = 240,
    cpus: Annotated[int, typer.Option(min=1, help="Cores of a job.")] = 4,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of a job.")] = 0,
    mem: Annotated[float | None, typer.Option(min=0.1, help="Memory of a job in GiB.")] = None,
    max_parallel: Annotated[int, typer.Option(min=1, help="Most jobs at a time.")] = 64,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(help="KEY=VALUE, further option of sbatch as account=mine; repeatable."),
    ] = None,
    as_json: AsJson = False,
    quiet: BeQuiet = False,
) -> None:
    """Hand the cells that are missing to Slurm, as one array of jobs that resume."""
    from camzoo.harness.grid import slurm as jobs

    output = Output(as_json, quiet)
    further = {key: str(value) for key, value in parse_pairs("--sbatch", sbatch).items()}
    asked = jobs.Resources(partition, time, cpus, gpus, mem, max_parallel, further)
    cells = jobs.missing_cells(_runs(file, output), out, anew=not dry_run)
    told: dict[str, Any] = {"cells": [cell.label for cell in cells]}
    if not cells:
        output.document(told | {"job": None})
        output.tell(f"all cells are done; camzoo grid leaderboard {file} gathers them")
        return
    if dry_run:
        text = jobs.script(len(cells), file.stem, out, asked)
        output.document(told | {"script": text})
        output.tell(text)
        for number, cell in enumerate(cells):
            output.tell(f"# job {number}: {cell.label}")
        return
    job = jobs.submit(cells, file.stem, out, asked)
    output.document(told | {"job": job})
    output.tell(f"job {job}: {len(cells)} cells, logs in {out / jobs.FOLDER / file.stem}")
    output.say(f"to look after it: camzoo grid status {file} --out {out}")


@grid_app.command(hidden=True)
def cell() -> None:
    """Compute one cell that comes in on standard input, as a job does."""
    from camzoo.core.allocator import keep_freed_memory
    from camzoo.harness.grid.cell import GridCell
    from camzoo.harness.grid.run import rows_of
    from camzoo.harness.grid.slurm import NOTED
    from camzoo.harness.grid.state import run_state

    keep_freed_memory()
    mine = GridCell.read(sys.stdin.read())
    output = Output()
    with output.reporting() as reporter:
        done = mine.perform(reporter)
        faults = [each.fault for each in done if each.fault]
        state = run_state(mine.run, mine.out)
        if not faults and state.whole:  # the last job of a run puts its rows together
            _pages(rows_of(state, mine.out, reporter), reporter)
    for fault in faults:
        output.tell(f"not done: {fault}", style="red")
    if faults:
        raise typer.Exit(NOTED)


def _runs(file: Path, output: Output) -> list[GridRun]:
    from camzoo.harness.grid.expand import expand
    from camzoo.harness.grid.file import read_grid

    with output.apart():
        return expand(read_grid(file))


@dataclass
class _Published:
    """What is to be looked at of a grid.

    Attributes:
        folders: Folders of runs, by label.
        failed: Why a run has no rows, by label.
        pages: Leaderboards of all runs.
        missing: Runs of which cells are not done; None where all were to be made.
        so_far: Leaderboards of all cells that are done, while others are not.
    """

    folders: dict[str, Path] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    pages: list[Path] = field(default_factory=list)
    missing: GridState | None = None
    so_far: list[Path] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """It as JSON."""
        told: dict[str, Any] = {
            "runs": {label: str(run) for label, run in self.folders.items()},
            "failed": self.failed,
            "pages": [str(page) for page in self.pages],
        }
        if self.missing is not None:
            told["so_far"] = [str(page) for page in self.so_far]
            told["missing"] = self.missing.record()
        return told


def _publish(outcomes: Iterable[Outcome], folder: Path, reporter: Reporter) -> _Published:
    """Write the pages of runs, and one leaderboard of all."""
    from camzoo.core.files import storing
    from camzoo.report.leaderboards import update_leaderboards

    found = _Published()
    for each, outcome in outcomes:
        try:
            found.folders[each.label] = _pages(outcome, reporter)
        except CamzooError as error:
            found.failed[each.label] = str(error)
    if found.folders:
        with reporter.stage("leaderboard"), storing(folder):
            found.pages = update_leaderboards(list(found.folders.values()), folder)
    return found


def _publish_so_far(found: _Published, out: Path, folder: Path, reporter: Reporter) -> None:
    """Write a leaderboard of all cells that are done, in the place of an earlier one.

    The next one has more cells of the same runs: no record of one may stand beside another.
    """
    from camzoo.harness.grid.run import rows_so_far
    from camzoo.report.leaderboards import RECORDS, update_leaderboards

    if (folder / RECORDS).is_dir():
        shutil.rmtree(folder)
    there = set(out.iterdir()) if out.is_dir() else set()
    parts: list[Path] = []
    for run in found.missing.runs if found.missing else ():
        for each, outcome in rows_so_far(run, out, reporter):
            if isinstance(outcome, CamzooError):
                found.failed[each.label] = str(outcome)
            else:
                parts.append(outcome if isinstance(outcome, Path) else outcome.folder)
    if parts:
        found.so_far = update_leaderboards([*found.folders.values(), *parts], folder)
    for part in set(parts) - there:
        shutil.rmtree(part)


def _tell(found: _Published, output: Output) -> None:
    """Say where everything is; exit 1 where a run has no rows."""
    output.document(found.record())
    for label, run in found.folders.items():
        output.say(f"{label}: {run}")
    for label, why in found.failed.items():
        output.tell(f"{label} has no rows: {why}", style="red")
    for page in found.pages:
        output.tell(str(page))
    for page in found.so_far:
        output.tell(f"{page} (so far)")
    if found.failed:
        raise typer.Exit(1)


def _pages(outcome: BenchResult | Path | CamzooError, reporter: Reporter) -> Path:
    """Write the pages of a run where they are not there yet; return its folder.

    Raises:
        CamzooError: It has no rows.
    """
    if isinstance(outcome, CamzooError):
        raise outcome
    if isinstance(outcome, Path):
        return outcome
    for name, why in outcome.failures.items():
        reporter.note(f"{outcome.folder.name}: {name} failed: {why}")
    publish(outcome, reporter)
    return outcome.folder


def _lines(found: GridState) -> Iterator[str]:
    for run in found.runs:
        yield f"{run.run.label}: {_of_run(run)}"
        for cell in run.cells:
            yield f"  {cell.place}: {_of_cell(cell)}"
            yield from (f"    {name} failed: {why}" for name, why in cell.failures.items())
    yield from _summary(found)


def _of_run(run: RunState) -> str:
    if run.fault:
        return run.fault
    if run.folder is not None:
        return f"rows in {run.folder}"
    if run.whole:
        return "done, rows not put together yet"
    shared = ["slices and tags are being made" for step in run.shared if step.running]
    return "; ".join(shared) or f"{len(run.cells)} cells"


def _of_cell(cell: CellState) -> str:
    there = f"{sum(step.found is not None for step in cell.steps)} of {len(cell.steps)} results"
    if cell.state == "running":
        names = ", ".join(f"{word(step.stage)} {step.name}".strip() for step in cell.running)
        return f"running, {there}, at work: {names}"
    if cell.state == "failed":
        return f"failed, {there}: {cell.fault}"
    return f"begun, {there}" if cell.state == "begun" else cell.state.value


def _summary(found: GridState) -> Iterator[str]:
    counts = {state.value: count for state, count in found.counts.items() if count}
    told = ", ".join(f"{count} {name}" for name, count in counts.items()) or "none can be looked at"
    yield f"{sum(counts.values())} cells: {told}"
    if found.seconds:
        yield f"left: about {duration(found.seconds)} of one worker"
    if found.unknown:
        yield f"not known is the time of: {', '.join(word(name) for name in found.unknown)}"
