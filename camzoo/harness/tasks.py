"""A run as tasks, which processes and machines share out among themselves.

A task asks the store for exactly the results that :func:`camzoo.harness.run.bench` would ask for.
When all are done, that function finds everything and puts rows together; so they are the same
whoever made what, and in which order. Tasks travel as JSON.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from pydantic import TypeAdapter

from camzoo.config import BenchConfig, load_config
from camzoo.core.environment import choose_device, use_threads
from camzoo.core.errors import CamzooError
from camzoo.core.files import storing
from camzoo.core.progress import Quiet, Reporter
from camzoo.harness.context import Context, Place, places
from camzoo.harness.opened import open_context, open_run
from camzoo.harness.path import open_cell, prepare_slices
from camzoo.harness.scored import score_cell
from camzoo.harness.segmentation import baseline_part, segment_cell
from camzoo.network.precision import Precisions

#: Slices and tags, once for all cells.
PREPARE: Final = "prepare"
#: The classifier of a cell, all maps, and their scores.
MAPS: Final = "maps"
#: Digits of the hash that tells runs of one data set and preset apart.
_SHORT: Final = 6


@dataclass(frozen=True)
class Task:
    """A part of a run that one process does in one go.

    Attributes:
        config: The whole run.
        out: Folder of runs.
        place: The cell; of what all cells share, the first.
        part: "prepare", "maps", or "baseline " and the text of one of :attr:`config`'s.
        needs: Names of tasks to be done before; their results are found then. Where they are not
            done yet, the task makes them itself.
    """

    config: BenchConfig
    out: Path
    place: Place
    part: str
    needs: tuple[str, ...] = ()

    @cached_property
    def name(self) -> str:
        """How people call it; no other task of any run has the name."""
        run = _run_name(self.config)
        return f"{run}: {PREPARE}" if self.part == PREPARE else f"{run}, {self.place}: {self.part}"

    def to_json(self) -> str:
        """Write it on one line."""
        return json.dumps(
            {
                "config": self.config.model_dump(mode="json"),
                "out": str(self.out),
                "place": asdict(self.place),
                "part": self.part,
                "needs": self.needs,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            ConfigError: A setting is not of this version.
        """
        told = json.loads(text)
        config, out, place = load_config(told["config"]), Path(told["out"]), Place(**told["place"])
        return cls(config, out, place, told["part"], tuple(told["needs"]))


@dataclass(frozen=True)
class Done:
    """What came of a task.

    Attributes:
        name: Name of the task.
        seconds: Wall time.
        failures: Why methods or baselines have no results, by name, as in
            :attr:`camzoo.harness.run.BenchResult.failures`. The task is done all the same.
        fault: Why the task is not done; empty where it is.
        made: Number of results that were computed, by stage.
    """

    name: str
    seconds: float = 0.0
    failures: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    made: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        """Write it on one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: It is something else.
        """
        return TypeAdapter(cls).validate_json(text)


@dataclass(frozen=True)
class Performed:
    """What came of the tasks of a run, taken together.

    Attributes:
        failures: Why methods or baselines have no results, by cell and name.
        made: Number of results that were computed, by stage.
    """

    failures: Mapping[Place, Mapping[str, str]]
    made: Counter[str]

    @classmethod
    def of(cls, tasks: Sequence[Task], done: Mapping[str, Done]) -> Self:
        """Gather what came of ``tasks``; one that nobody performed says nothing.

        Raises:
            CamzooError: One of them is not done, for which nobody but the user can do anything.
        """
        mine = [(task, done[task.name]) for task in tasks if task.name in done]
        faults = [each for _, each in mine if each.fault]
        if faults:
            first = {each.fault: each.name for each in reversed(faults)}  # others wait for those
            raise CamzooError(
                f"{len(faults)} of {len(tasks)} tasks are not done: "
                f"{'; '.join(f'{name}: {fault}' for fault, name in reversed(first.items()))}; what "
                "is finished is kept, and the same command goes on from there"
            )
        failures: dict[Place, dict[str, str]] = {}
        for task, each in mine:
            failures.setdefault(task.place, {}).update(each.failures)
        return cls(failures, sum((Counter(each.made) for _, each in mine), Counter[str]()))


def tasks_of(config: BenchConfig, out: Path) -> list[Task]:
    """List all tasks of a run, each behind those that it needs."""
    return list(_tasks_of(config, out.absolute()))


def settled(config: BenchConfig) -> BenchConfig:
    """Return the same run with nothing left that another machine would choose in another way.

    Device and precisions are those that this machine chooses, and paths are absolute: keys of
    results are then the same wherever a task is done.

    Raises:
        ConfigError: This machine has no such device.
    """
    device = choose_device(config.device)
    changes: dict[str, object] = {}
    if config.device == "auto":
        changes["device"] = device.type
    if config.data.root is not None:
        changes["data.root"] = config.data.root.absolute()
    if isinstance(config.backbone.weights, Path):
        changes["backbone.weights"] = config.backbone.weights.absolute()
    return Precisions.of(config, device).settle(config.changed(changes))


def perform(task: Task, reporter: Reporter | None = None) -> Done:
    """Ask the store for what a task makes.

    A method or baseline that fails is kept with its reason, as is whatever else the user can mend.
    Other errors are bugs, and are raised.
    """
    began, made = time.perf_counter(), dict[str, int]()
    failures: Mapping[str, str] = {}
    fault = ""
    try:
        context = open_context(task.config, task.out, reporter or Quiet())
        with storing(task.out), use_threads(task.config.threads):
            failures = _perform(task, context)
        made = dict(context.store.made)
    except CamzooError as error:
        fault = str(error)
    return Done(task.name, time.perf_counter() - began, failures, fault, made)


def _perform(task: Task, context: Context) -> Mapping[str, str]:
    """Make what is missing; return why methods or baselines have no results."""
    run = open_run(context)
    prepared = prepare_slices(context, run.dataset)
    if task.part == PREPARE:
        return {}
    cell = open_cell(context, prepared, run.splits[task.place.fold], task.place.seed)
    if task.part == MAPS:
        return score_cell(cell, context.chains).mapped.failures
    mine = {t: spec for t, spec in context.baselines.items() if baseline_part(t) == task.part}
    if not mine:
        raise ValueError(f"{task.name}: there is no such part")
    failures = segment_cell(cell, mine).failures
    return {baseline_part(text): why for text, why in failures.items()}


def _tasks_of(config: BenchConfig, out: Path) -> Iterator[Task]:
    everyone = places(config)
    prepare = Task(config, out, everyone[0], PREPARE)
    yield prepare
    for place in everyone:
        maps = Task(config, out, place, MAPS, (prepare.name,))
        yield maps
        for text in config.baselines:
            yield Task(config, out, place, baseline_part(text), (maps.name,))


def _run_name(config: BenchConfig) -> str:
    """Data set, preset, and some digits that follow from all settings."""
    digest = hashlib.sha256(config.model_dump_json().encode()).hexdigest()
    return f"{config.data.name}-{config.preset} {digest[:_SHORT]}"
