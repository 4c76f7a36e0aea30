"""How far a grid is: what is stored, being made or given up, and how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from camzoo.core.errors import CamzooError
from camzoo.evaluate.rows import ROWS
from camzoo.harness.context import Place, places
from camzoo.harness.grid.expand import GridRun
from camzoo.harness.grid.notes import Notes
from camzoo.harness.plan import Plan, Step, plan_run
from camzoo.steps.chain import parse_chain


class State(StrEnum):
    """How far a cell is."""

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    BEGUN = "begun"
    WAITING = "waiting"


@dataclass(frozen=True)
class CellState:
    """How far a cell is.

    Attributes:
        place: Fold and seed.
        steps: Its results; what it shares with a cell before is among the results of that one.
        failures: Why methods and baselines have none, by name as in
            :attr:`camzoo.harness.run.BenchResult.failures`.
        fault: Why the cell was given up; the same command goes on with it.
    """

    place: Place
    steps: tuple[Step, ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def missing(self) -> list[Step]:
        """Results that are to be made; those of methods that failed are not."""
        return [s for s in self.steps if s.found is None and not _is_of(s, self.failures)]

    @property
    def running(self) -> list[Step]:
        """Results that are being made."""
        return [step for step in self.steps if step.running]

    @property
    def state(self) -> State:
        """In one word."""
        if not self.missing:
            return State.DONE
        if self.running:
            return State.RUNNING
        if self.fault:
            return State.FAILED
        return State.BEGUN if any(step.found for step in self.steps) else State.WAITING

    def record(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "fold": self.place.fold,
            "seed": self.place.seed,
            "state": self.state.value,
            "found": sum(step.found is not None for step in self.steps),
            "results": len(self.steps),
            "running": [f"{step.stage} {step.name}".strip() for step in self.running],
            "failures": dict(self.failures),
            "fault": self.fault if self.state is State.FAILED else "",
        }


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Attributes:
        run: The run.
        plan: What it needs; None where that cannot be said.
        cells: Its cells.
        fault: Why nothing can be said of it; empty where it can.
    """

    run: GridRun
    plan: Plan | None
    cells: tuple[CellState, ...] = ()
    fault: str = ""

    @property
    def whole(self) -> bool:
        """Whether all its cells are done."""
        return bool(self.cells) and all(cell.state is State.DONE for cell in self.cells)

    @property
    def folder(self) -> Path | None:
        """Where its rows are; None where they are not put together, or older than a result."""
        folder = self.plan.folder if self.plan else None
        if self.plan is None or folder is None or not (folder / ROWS).exists():
            return None
        written = time.localtime((folder / ROWS).stat().st_mtime)
        last = max((step.found for step in self.plan.steps if step.found), default="")
        return folder if time.strftime("%Y-%m-%dT%H:%M:%S", written) >= last else None

    @property
    def shared(self) -> list[Step]:
        """Results that all its cells share."""
        mine = {str(cell.place) for cell in self.cells}
        return [step for step in self.plan.steps if step.cell not in mine] if self.plan else []

    @property
    def missing(self) -> list[Step]:
        """Results that are to be made."""
        shared = [step for step in self.shared if step.found is None]
        return shared + [step for cell in self.cells for step in cell.missing]

    def record(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "run": self.run.label,
            "folder": str(self.folder) if self.folder else None,
            "whole": self.whole,
            "fault": self.fault,
            "cells": [cell.record() for cell in self.cells],
        }


@dataclass(frozen=True)
class GridState:
    """How far a grid is.

    Attributes:
        runs: Its runs.
    """

    runs: tuple[RunState, ...]

    @property
    def counts(self) -> dict[State, int]:
        """Number of cells in each state."""
        states = [cell.state for run in self.runs for cell in run.cells]
        return {state: states.count(state) for state in State}

    @property
    def seconds(self) -> float:
        """Time that one worker needs for what is missing, as far as that can be estimated."""
        return sum(e.seconds or 0.0 for step in self._once() if (e := step.estimate))

    @property
    def unknown(self) -> list[str]:
        """What cannot be estimated."""
        steps = (s for s in self._once() if s.estimate is None or s.estimate.seconds is None)
        return list(dict.fromkeys(step.name or step.stage for step in steps))

    def record(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "cells": {state.value: count for state, count in self.counts.items()},
            "seconds": self.seconds,
            "not_estimated": self.unknown,
            "runs": [run.record() for run in self.runs],
        }

    def _once(self) -> Iterator[Step]:
        """Missing results, of which runs share some."""
        seen: set[str] = set()
        for run in self.runs:
            for step in run.missing:
                if step.digest is None or step.digest not in seen:
                    seen.add(step.digest or "")
                    yield step


def state_of(runs: Sequence[GridRun], out: Path, *, measure: bool = False) -> GridState:
    """Say how far a grid is; nothing is written.

    Args:
        runs: Its runs.
        out: Folder of runs.
        measure: Whether a step of each network is run where the store has no times to go by.
    """
    return GridState(tuple(run_state(run, out, measure=measure) for run in runs))


def run_state(run: GridRun, out: Path, *, measure: bool = False) -> RunState:
    """Say how far a run of a grid is, also from a machine without the device that it runs on."""
    notes = Notes(run.config, out)
    try:
        plan = plan_run(notes.chosen() or run.config, out, measure=measure)
    except CamzooError as error:
        return RunState(run, None, fault=str(error))
    return RunState(run, plan, tuple(_cell(plan, notes, place) for place in places(run.config)))


def _cell(plan: Plan, notes: Notes, place: Place) -> CellState:
    lacking = notes.of(place)
    failures = {name: why for done in lacking for name, why in done.failures.items()}
    fault = "; ".join(f"{done.name}: {done.fault}" for done in lacking if done.fault)
    steps = tuple(step for step in plan.steps if step.cell == str(place))
    return CellState(place, steps, failures, fault)


def _is_of(step: Step, failures: Mapping[str, str]) -> bool:
    """Whether a result is one of a method or baseline that failed."""
    for name in failures:
        baseline, _, text = name.rpartition("baseline ")
        if step.name == text or step.name.endswith(f" of {text}"):
            return True
        if not baseline and step.stage == "maps" and step.name == str(parse_chain(text).head):
            return True
    return False
