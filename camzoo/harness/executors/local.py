"""Worker processes on this machine."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import torch

from camzoo.core.environment import choose_device
from camzoo.core.progress import Reporter
from camzoo.harness.executors.agenda import Agenda
from camzoo.harness.executors.base import Executor, register_executor, suited_workers
from camzoo.harness.executors.elsewhere import require_elsewhere
from camzoo.harness.tasks import Done, Task

#: Restricts which GPUs a process sees.
_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
#: How long a worker may take to go after it was asked to.
_PATIENCE_SECONDS: Final = 5.0


@dataclass(eq=False)
class _Worker:
    """A process that performs one task after another (:mod:`camzoo.harness.perform_task`).

    Attributes:
        process: The process.
        task: What it is at; None while it waits.
    """

    process: subprocess.Popen[str]
    task: Task | None = None

    def give(self, task: Task) -> None:
        self.task = task
        with suppress(BrokenPipeError):  # it has died, which is seen at the end of its answers
            assert self.process.stdin is not None
            self.process.stdin.write(f"{task.to_json()}\n")
            self.process.stdin.flush()

    def gone(self) -> None:
        """Wait until the process, which was asked to end, has ended."""
        try:
            self.process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                assert stream is not None
                stream.close()

    def death(self) -> str:
        """How the process ended."""
        code = self.process.wait()
        if code >= 0:
            return f"its worker ended with exit code {code}"
        name = signal.Signals(-code).name
        memory = ", as the system does where memory is used up" if name == "SIGKILL" else ""
        return f"its worker was killed by {name}{memory}"


@dataclass
class _Crew:
    """The workers of a run.

    Attributes:
        gpus: GPU of each worker, as ``CUDA_VISIBLE_DEVICES`` names it; None leaves all visible.
        workers: Those that live, by their number.
        answers: What they say: number and line; None where there will be no more.
    """

    gpus: Sequence[str | None]
    workers: dict[int, _Worker] = field(default_factory=dict)
    answers: queue.SimpleQueue[tuple[int, str | None]] = field(default_factory=queue.SimpleQueue)

    def free(self) -> list[_Worker]:
        """Workers that wait for a task; those that are missing are started."""
        for number, gpu in enumerate(self.gpus):
            if number not in self.workers:
                self._start(number, gpu)
        return [worker for worker in self.workers.values() if worker.task is None]

    def stop(self) -> None:
        """End all workers, whatever they are at: the store takes no half result."""
        for worker in self.workers.values():
            worker.process.terminate()
        for worker in self.workers.values():
            worker.gone()

    def _start(self, number: int, gpu: str | None) -> None:
        environment = dict(os.environ) | ({} if gpu is None else {_VISIBLE: gpu})
        # What this process can import, its workers can: classes of one's own, in notebooks, too.
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        process = subprocess.Popen(
            [sys.executable, "-m", "camzoo.harness.perform_task"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=environment,
            process_group=0,  # Ctrl-C is for this process, which stops the others
        )  # fmt: skip
        self.workers[number] = _Worker(process)
        threading.Thread(target=self._listen, args=(number, process), daemon=True).start()

    def _listen(self, number: int, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with suppress(ValueError):  # it was closed by stop()
            for line in process.stdout:
                self.answers.put((number, line))
        self.answers.put((number, None))


@register_executor("local")
class Local(Executor):
    """Several processes on this machine: one per GPU, else as many as there are workers.

    A worker that dies, of lack of memory say, takes nothing with it: its task is begun once more
    by another one.

    Args:
        workers: At most so many processes; without, one per GPU, else one per two threads that
            torch would take, and two at least.
    """

    where = "processes on this machine"

    def suited(self) -> int:
        """One per GPU of this machine, else one per two threads and at least two."""
        return suited_workers()

    def run(self, tasks: Sequence[Task], reporter: Reporter) -> Mapping[str, Done]:
        """Have tasks performed by worker processes."""
        require_elsewhere(tasks)
        gpus = _gpus(tasks, min(self.workers, len(tasks)))
        with reporter.stage(f"{len(tasks)} tasks") as tick, _crew(gpus) as crew:
            agenda = Agenda(tasks, reporter, tick)
            while not agenda.over:
                for worker in crew.free():
                    task = agenda.take()
                    if task is None:
                        break
                    worker.give(task)
                number, line = crew.answers.get()
                _take_in(crew, number, line, agenda, reporter)
        return agenda.done


def _take_in(
    crew: _Crew, number: int, line: str | None, agenda: Agenda, reporter: Reporter
) -> None:
    """Take in what a worker said, or that it died."""
    worker = crew.workers[number]
    if line is None:
        del crew.workers[number]
        if worker.task is not None:
            agenda.lose(worker.task, worker.death())
        return
    try:
        said = json.loads(line)
    except ValueError:  # printed by what it imports, before answers had a way of their own
        reporter.detail(line.rstrip())
        return
    if "done" in said:
        worker.task = None
        agenda.end(Done(**said["done"]))
    elif worker.task is not None:
        reporter.detail(f"{worker.task.name}: {said['note']}")


@contextmanager
def _crew(gpus: Sequence[str | None]) -> Iterator[_Crew]:
    """Workers that are gone at the end, however that comes."""
    crew = _Crew(gpus)
    try:
        yield crew
    finally:
        crew.stop()


def _gpus(tasks: Sequence[Task], workers: int) -> list[str | None]:
    """The GPU of each worker; where tasks compute on GPUs, there is one worker to each."""
    devices = {task.config.device for task in tasks}
    if all(choose_device(device).type == "cpu" for device in devices):
        return [None] * workers
    visible = os.environ.get(_VISIBLE)
    names = visible.split(",") if visible else list(map(str, range(torch.cuda.device_count())))
    return list(names[:workers])
