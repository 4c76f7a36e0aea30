"""A cell of a grid, computed by one process: what a job on a cluster does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from camzoo.config import BenchConfig, load_config
from camzoo.core.errors import CamzooError
from camzoo.core.progress import Reporter
from camzoo.harness.context import Place, places
from camzoo.harness.grid.expand import GridRun
from camzoo.harness.grid.notes import Notes
from camzoo.harness.tasks import PREPARE, Done, Task, perform, tasks_of


@dataclass(frozen=True)
class GridCell:
    """A cell of a grid.

    Attributes:
        run: Its run.
        place: Fold and seed.
        out: Folder of runs.
    """

    run: GridRun
    place: Place
    out: Path

    @classmethod
    def read(cls, text: str) -> GridCell:
        """Read what :class:`camzoo.harness.grid.slurm.CellJob` hands over.

        Raises:
            ConfigError: A setting is not of this version.
        """
        told = json.loads(text)
        run = GridRun(told["label"], load_config(told["config"]))
        return cls(run, Place(told["fold"], told["seed"]), Path(told["out"]))

    def blame(self, fault: str) -> None:
        """Write down why it is not done."""
        Notes(self.run.config, self.out).keep(self.place, [self._given_up(fault)])

    def perform(self, reporter: Reporter) -> list[Done]:
        """Make all that is missing of it; return what came of each task, and write it down."""
        notes, done = Notes(self.run.config, self.out), list[Done]()
        try:
            for task in tasks_of_cell(notes.choose(), self.out, self.place):
                done.append(perform(task, reporter))
                if done[-1].fault:
                    break
        except CamzooError as error:  # this machine has no such device
            done.append(self._given_up(str(error)))
        notes.keep(self.place, done)
        return done

    def _given_up(self, fault: str) -> Done:
        return Done(f"{self.run.label}, {self.place}", fault=fault)


def tasks_of_cell(config: BenchConfig, out: Path, place: Place) -> list[Task]:
    """List the tasks of one cell, with that which it shares with others in front."""
    return [t for t in tasks_of(config, out) if t.part == PREPARE or t.place == place]


def keep_done(run: GridRun, config: BenchConfig, out: Path, done: Mapping[str, Done]) -> None:
    """Write down what the cells of a run lack after its tasks were performed.

    Args:
        run: The run, as the grid has it.
        config: Its configuration, as the tasks have it.
        out: Folder of runs.
        done: What came of all tasks, by name.
    """
    for place in places(config):
        names: Sequence[str] = [task.name for task in tasks_of_cell(config, out, place)]
        Notes(run.config, out).keep(place, [done[name] for name in names if name in done])
