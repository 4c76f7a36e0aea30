"""A grid by one command: all tasks of all runs through one executor, then the rows of each run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from camzoo.config import BenchConfig
from camzoo.core.errors import CamzooError
from camzoo.core.progress import Quiet, Reporter
from camzoo.harness.executors.agenda import Agenda
from camzoo.harness.grid.cell import keep_done
from camzoo.harness.grid.expand import GridRun, rectangles
from camzoo.harness.grid.notes import Notes
from camzoo.harness.grid.state import RunState, State
from camzoo.harness.run import BenchResult, bench
from camzoo.harness.tasks import Done, Task, perform, tasks_of

if TYPE_CHECKING:
    from camzoo.harness.executors.base import Executor

#: A run, and what came of it: its result, or its folder from before, or why it has no rows.
Outcome = tuple[GridRun, BenchResult | Path | CamzooError]


def run_grid(
    runs: Sequence[GridRun], out: Path, executor: Executor | None, reporter: Reporter
) -> Iterator[Outcome]:
    """Make all that is missing of a grid, and give its runs one after the other.

    Args:
        runs: Its runs. One that fails stops no other.
        out: Folder of runs.
        executor: Who has the tasks performed; None is this process.
        reporter: Who is told.
    """
    begun: dict[str, BenchConfig] = {}
    faults: dict[str, CamzooError] = {}
    tasks: list[Task] = []
    for run in runs:
        try:
            config = Notes(run.config, out).choose(executor, anew=True)
        except CamzooError as error:
            faults[run.label] = error
            continue
        begun[run.label] = config
        tasks += tasks_of(config, out)
    done = executor.run(tasks, reporter) if executor else _performed_here(tasks, reporter)
    for run in runs:
        if run.label in faults:
            yield run, faults[run.label]
        else:
            keep_done(run, begun[run.label], out, done)
            yield run, _put_together(begun[run.label], out, reporter, done)


def rows_of(state: RunState, out: Path, reporter: Reporter) -> BenchResult | Path | CamzooError:
    """Put the rows of a run together whose cells are all done.

    Args:
        state: The run.
        out: Folder of runs.
        reporter: Who is told.

    Returns:
        The run; its folder, where somebody has put its rows together already; or why there are
        none.
    """
    notes = Notes(state.run.config, out)
    config = notes.choose()
    with notes.locked():
        if state.folder is not None:
            return state.folder
        return _put_together(config, out, reporter, notes.failed())


def rows_so_far(state: RunState, out: Path, reporter: Reporter) -> Iterator[Outcome]:
    """Put the rows of those cells together that are done, of a run of which others are not.

    Nothing but rows is computed. Each full product of folds and seeds is a run of its own.

    Args:
        state: The run.
        out: Folder of runs.
        reporter: Who is told.
    """
    notes = Notes(state.run.config, out)
    done = [cell.place for cell in state.cells if cell.state is State.DONE]
    config = notes.choose() if done else state.run.config
    mine = {task.name: (task.place, task.part) for task in tasks_of(config, out)}
    lost = {mine[name]: each for name, each in notes.failed().items() if name in mine}
    for folds, seeds in rectangles(done):
        part = config.changed({"data.folds": folds, "seeds": seeds})
        tasks = {task.name: (task.place, task.part) for task in tasks_of(part, out)}
        known = {name: lost[at] for name, at in tasks.items() if at in lost}
        run = GridRun(f"{state.run.label}, so far", part)
        yield run, _put_together(part, out, reporter, known)


def _put_together(
    config: BenchConfig, out: Path, reporter: Reporter, done: Mapping[str, Done]
) -> BenchResult | CamzooError:
    try:
        with reporter.stage("rows"):
            return bench(config, out, Quiet(), done=done)  # what it finds was said before
    except CamzooError as error:
        return error


def _performed_here(tasks: Iterable[Task], reporter: Reporter) -> Mapping[str, Done]:
    """Have this process perform tasks, of which none needs a later one."""
    agenda = Agenda(list(tasks), reporter)
    while (task := agenda.take()) is not None:
        agenda.end(perform(task, reporter))
    return agenda.done
