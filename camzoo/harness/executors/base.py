"""What an executor is: whoever has the tasks of runs performed, by itself or by others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeVar

import torch

from camzoo.config import BenchConfig
from camzoo.core.errors import ConfigError
from camzoo.core.progress import Reporter
from camzoo.harness.tasks import Done, Task
from camzoo.registries import executors

E = TypeVar("E", bound="type[Executor]")


class Executor(ABC):
    """Has tasks performed, each by :func:`camzoo.harness.tasks.perform`, wherever that is.

    Results go to the store, which locks what is being made; a task gives back only what came of
    it. A new executor says where tasks are performed; rows are put together elsewhere, from the
    store alone, so that no number can depend on it.

    Args:
        workers: How many tasks are performed at once; what suits the machine when left out.

    Attributes:
        name: Name in the registry.
        where: Where tasks are performed, in a few words.
        workers: How many tasks are performed at once.

    Raises:
        ConfigError: There is no worker.
    """

    name: ClassVar[str]
    where: ClassVar[str] = ""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = self.suited() if workers is None else workers
        if self.workers < 1:
            raise ConfigError(f"workers: takes a whole number from 1 on, got {workers}")

    def suited(self) -> int:
        """How many tasks are performed at once where nobody says."""
        return 1

    @abstractmethod
    def run(self, tasks: Sequence[Task], reporter: Reporter) -> Mapping[str, Done]:
        """Have tasks performed, none before those that it needs.

        What is wrong with a task, or befalls it, is its :attr:`Done.fault`, and all others are
        performed. After Ctrl-C no worker is left.

        Args:
            tasks: Of one run or of several, each behind those that it needs.
            reporter: Told what was begun and what is done.

        Returns:
            What came of every task, by its name.

        Raises:
            ConfigError: Tasks cannot be performed here at all.
        """

    def with_threads(self, config: BenchConfig) -> BenchConfig:
        """Return a run with the threads that each of its workers computes on.

        Threads add up in an order of their own, and training makes more of the difference. So the
        number is fixed before the tasks are made, and the manifest says it: one process with the
        same setting gives the same rows.
        """
        if config.threads is not None:
            return config
        return config.changed({"threads": max(1, torch.get_num_threads() // self.workers)})


def suited_workers() -> int:
    """One worker per GPU of this machine, else one per two threads and at least two."""
    return torch.cuda.device_count() or max(2, torch.get_num_threads() // 2)


def register_executor(name: str) -> Callable[[E], E]:
    """Class decorator that makes an :class:`Executor` known to the whole program as ``name``.

    Raises:
        ConfigError: The name is taken, or the class is no executor.
    """
    return executors.register(name)
