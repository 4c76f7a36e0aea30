"""Which task is next, who waits for whom, and what came of each: the same for all executors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from camzoo.core.progress import Reporter, Tick, duration, silent
from camzoo.harness.tasks import Done, Task

#: How often a task is begun whose worker dies.
_ATTEMPTS: Final = 2


class Agenda:
    """Hands out tasks in their order, each after those that it needs.

    Args:
        tasks: With names of their own, each behind those that it needs.
        reporter: Told what is begun and what came of it.
        tick: Told how many are done.

    Attributes:
        done: What came of tasks, by name.
    """

    def __init__(self, tasks: Sequence[Task], reporter: Reporter, tick: Tick = silent) -> None:
        self.done: dict[str, Done] = {}
        self._waiting = {task.name: task for task in tasks}
        self._total = len(tasks)
        if len(self._waiting) < self._total:
            raise ValueError("two tasks have one name")
        self._begun: Counter[str] = Counter()
        self._reporter, self._tick = reporter, tick

    @property
    def over(self) -> bool:
        """Whether something came of every task."""
        return len(self.done) == self._total

    def take(self) -> Task | None:
        """Begin the next task that needs none which is still at work; None where all do."""
        for task in self._waiting.values():
            if all(need in self.done for need in task.needs):
                del self._waiting[task.name]
                self._begun[task.name] += 1
                self._reporter.note(f"begun: {task.name}")
                return task
        return None

    def end(self, done: Done) -> None:
        """Take in what came of a task; where it is not done, those that need it are not, either."""
        self.done[done.name] = done
        number = f"{len(self.done)} of {self._total}"
        self._tick(len(self.done), self._total)
        if done.fault:
            self._reporter.note(f"{number}, not done: {done.name}: {done.fault}")
        else:
            self._reporter.note(f"{number}, done: {done.name}: {duration(done.seconds)}")
        for name, why in done.failures.items():
            self._reporter.note(f"  {name} failed: {why}")
        behind = [task for task in self._waiting.values() if done.name in task.needs]
        for task in behind if done.fault else ():
            del self._waiting[task.name]
            self.end(Done(task.name, fault=done.fault))

    def lose(self, task: Task, why: str) -> None:
        """Take in that a worker was lost over a task: it is begun once more, and then given up."""
        if self._begun[task.name] < _ATTEMPTS:
            self._reporter.note(f"{task.name}: {why}; it is begun once more")
            self._waiting = {task.name: task, **self._waiting}
        else:
            self.end(Done(task.name, fault=f"{why}, {_ATTEMPTS} times"))
