"""Ray: the cores and GPUs of this machine, or of a cluster that was started before."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from camzoo.core.allocator import keep_freed_memory
from camzoo.core.environment import choose_device
from camzoo.core.errors import ConfigError
from camzoo.core.portable import VARIABLES
from camzoo.core.progress import Reporter
from camzoo.core.text import reason
from camzoo.harness.executors.agenda import Agenda
from camzoo.harness.executors.base import Executor, register_executor, suited_workers
from camzoo.harness.executors.elsewhere import require_elsewhere
from camzoo.harness.tasks import Done, Task, perform

#: Set by Ray to a task's cores where it is not set; NumPy's sums would depend on it.
_THREADS: Final = "OMP_NUM_THREADS"


def get_ready() -> None:
    """Make a worker's process fit for tasks; what they import comes with this module.

    Asked of as many workers as there will be while the first task, which all others need, is
    performed by one of them.
    """
    keep_freed_memory()


def perform_text(text: str) -> str:
    """Perform a task that is written as JSON, on whatever machine; return what came of it."""
    get_ready()
    return perform(Task.from_json(text)).to_json()


@register_executor("ray")
class Ray(Executor):
    """Tasks of Ray, on this machine or on the nodes of a cluster.

    Nodes need the same camzoo, and the folders of data and runs under the same paths. Each task
    asks for as many cores as it computes on, for a GPU where it computes on one, and for memory. A
    task whose worker is lost is begun once more.

    Args:
        workers: At most so many tasks at once; without, as many as this machine suits.
        address: Address of a running cluster, or "auto" for the one that this machine is part of.
            Without, and without the environment variable ``RAY_ADDRESS``, Ray is started here and
            ended with the run.
        memory: Memory in GiB that a task asks for.

    Raises:
        ConfigError: A task asks for no memory.
    """

    where = "this machine, or a cluster"

    def __init__(
        self, workers: int | None = None, address: str | None = None, memory: float = 2.0
    ) -> None:
        super().__init__(workers)
        if not memory > 0:
            raise ConfigError(f"memory: takes a number of GiB above 0, got {memory}")
        self._address, self._memory = address, memory

    def suited(self) -> int:
        """One per GPU of this machine, else one per two threads and at least two."""
        return suited_workers()

    def run(self, tasks: Sequence[Task], reporter: Reporter) -> Mapping[str, Done]:
        """Have tasks performed by Ray."""
        require_elsewhere(tasks)
        asked = {task.name: self._asks(task) for task in tasks}
        with _connected(self._address) as ray:
            _require_room(ray, list(asked.values()))
            for each in tasks[: self.workers]:
                ray.remote(get_ready).options(**asked[each.name]).remote()
            remote = ray.remote(perform_text)
            at_work: dict[Any, Task] = {}
            try:
                with reporter.stage(f"{len(tasks)} tasks") as tick:
                    agenda = Agenda(tasks, reporter, tick)
                    while not agenda.over:
                        while len(at_work) < self.workers and (task := agenda.take()):
                            asks = asked[task.name]
                            at_work[remote.options(**asks).remote(task.to_json())] = task
                        for reference in ray.wait(list(at_work), timeout=1.0)[0]:
                            _take_in(ray, reference, at_work.pop(reference), agenda)
            finally:
                for reference in at_work:
                    ray.cancel(reference, force=True)
        return agenda.done

    def _asks(self, task: Task) -> dict[str, Any]:
        """What a task asks Ray for."""
        config = task.config
        return {
            "num_cpus": config.threads or 1,
            "num_gpus": int(choose_device(config.device).type == "cuda"),
            "memory": int(self._memory * 2**30),
            "max_retries": 0,  # the agenda begins it once more, and says so
            "runtime_env": {"env_vars": _variables()},
        }


def _variables() -> dict[str, str]:
    """What has to be the same in each worker as here, on whatever machine."""
    threads = {_THREADS: os.environ.get(_THREADS, str(os.cpu_count() or 1))}
    return threads | {name: os.environ[name] for name in VARIABLES if name in os.environ}


def _take_in(ray: Any, reference: Any, task: Task, agenda: Agenda) -> None:
    try:
        done = Done.from_json(ray.get(reference))
    except ray.exceptions.RayError as error:
        agenda.lose(task, f"its worker was lost ({reason(error)})")
    else:
        agenda.end(done)


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Ray, joined or started; what was started here is ended here.

    Raises:
        ConfigError: It is not installed, or cannot be reached.
    """
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise ConfigError(
            f"the executor ray needs Ray, which cannot be imported ({error}): "
            "pip install 'camzoo[ray]', or take --executor local"
        ) from error
    where = address or os.environ.get("RAY_ADDRESS", "local")
    started = not ray.is_initialized()
    if started:
        _connect(ray, where)
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()


def _connect(ray: Any, where: str) -> None:
    """Join Ray or start it; in silence, and telling nobody outside."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    on_term = signal.getsignal(signal.SIGTERM)
    try:
        # Nobody looks at the dashboard of what is started here, and it takes seconds to start.
        own = {"include_dashboard": False} if where == "local" else {}
        ray.init(address=where, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"Ray cannot be had at {where!r}: {reason(error)}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_term)  # Ray has put its own in the place of the program's


def _require_room(ray: Any, asked: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what Ray would wait for forever.

    Raises:
        ConfigError: No node has as much as a task asks for.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for names in {tuple(each[key] for key in ("num_cpus", "num_gpus", "memory")) for each in asked}:
        wanted = dict(zip(("CPU", "GPU", "memory"), names, strict=True))
        if not any(all(node.get(k, 0) >= v for k, v in wanted.items()) for node in nodes):
            has = "; ".join(
                f"{node.get('CPU', 0):g} cores, {node.get('GPU', 0):g} GPUs, "
                f"{node.get('memory', 0) / 2**30:.1f} GiB"
                for node in nodes
            )
            raise ConfigError(
                f"a task asks for {wanted['CPU']} cores, {wanted['GPU']} GPUs and "
                f"{wanted['memory'] / 2**30:.1f} GiB, and no node of Ray has as much ({has}): set "
                "threads, or the setting memory of the executor"
            )
