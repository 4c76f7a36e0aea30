"""A grid on Slurm: an array with a job per cell, handed over by submitit and then left alone.

A job is a cell with all its methods and baselines: nothing in it waits for another job but slices
and tags, which the first job of a data set makes while the store lets the others wait. Jobs need no
process that watches over them and no port. When its time is up a job is put back into the queue,
and goes on from what is stored.

The cell is computed in a process of its own. Signals of Slurm end the job by an exception, and the
code of a method that runs at that moment would be blamed for it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from camzoo.core.errors import ConfigError, MachineError
from camzoo.core.text import LONGEST, plain

if TYPE_CHECKING:
    from camzoo.harness.context import Place
    from camzoo.harness.grid.expand import GridRun

#: Command that computes a cell, which it reads from standard input.
COMMAND: Final = (sys.executable, "-m", "camzoo", "grid", "cell")
#: Exit code of that command where it has written down itself why the cell is not done.
NOTED: Final = 3
#: Folder below that of the runs with scripts and logs.
FOLDER: Final = "slurm"
#: Times that a job is put back into the queue. Each ends with an epoch, a map or a score more
#: stored, unless one of these alone takes longer than a job may.
_REQUEUES: Final = 50
#: Seconds before its end at which Slurm warns a job.
_WARNING: Final = 60
#: Seconds that a job whose process was asked to stop waits for what the system will do to it.
_GRACE: Final = 300


@dataclass(frozen=True)
class Resources:
    """What a job asks Slurm for.

    Attributes:
        partition: None leaves it to Slurm.
        minutes: Time of one job before it is put back into the queue.
        cpus: Cores.
        gpus: Number of GPUs.
        memory: GiB; None leaves it to Slurm.
        parallel: Most jobs at a time.
        further: Other options of sbatch, as ``account``.
    """

    partition: str | None = None
    minutes: int = 240
    cpus: int = 4
    gpus: int = 0
    memory: float | None = None
    parallel: int = 64
    further: Mapping[str, str] = field(default_factory=dict)

    def parameters(self, name: str) -> dict[str, Any]:
        """As submitit calls them."""
        told = {
            "job_name": name,
            "partition": self.partition,
            "time": self.minutes,
            "cpus_per_task": self.cpus,
            "gpus_per_node": self.gpus or None,
            "mem": None if self.memory is None else f"{round(self.memory * 1024)}M",
            "array_parallelism": self.parallel,
            "signal_delay_s": _WARNING,
            "additional_parameters": dict(self.further),
        }
        return {key: value for key, value in told.items() if value is not None}


@dataclass(frozen=True)
class CellJob:
    """A cell as submitit runs it.

    Attributes:
        label: How people call it.
        request: The cell as the command reads it, JSON.
    """

    label: str
    request: str

    @classmethod
    def of(cls, run: GridRun, place: Place, out: Path) -> CellJob:
        """Make the job of a cell."""
        told = {
            "label": run.label, "config": run.config.model_dump(mode="json"),
            "out": str(out.absolute()), "fold": place.fold, "seed": place.seed,
        }  # fmt: skip
        return cls(f"{run.label}, {place}", json.dumps(told))

    def __call__(self) -> str:
        """Compute the cell.

        Raises:
            MachineError: It is not done; the log, and ``camzoo grid status``, say why.
        """
        process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, text=True, preexec_fn=_deaf)
        try:
            process.communicate(self.request)
        finally:  # also when this process is told that its time is up
            process.kill()
            process.wait()
        if process.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM):
            time.sleep(_GRACE)  # the system stops the whole job, and is not through yet
        if process.returncode not in (0, NOTED):
            _blame(self.request, process.returncode)
        if process.returncode:
            raise MachineError(f"{self.label} is not done: exit code {process.returncode}")
        return self.label

    def checkpoint(self) -> Any:
        """Go on from the store, which has kept what is finished."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def missing_cells(runs: Sequence[GridRun], out: Path, *, anew: bool = False) -> list[CellJob]:
    """List the cells that are neither done nor at work.

    Args:
        runs: Runs of the grid.
        out: Folder of runs.
        anew: Whether machines choose device and precision once more for runs that have no result.

    Raises:
        ConfigError: A run cannot be begun at all.
    """
    from camzoo.harness.grid.notes import Notes
    from camzoo.harness.grid.state import State, state_of

    jobs = []
    for state in state_of(runs, out).runs:
        if state.fault:
            raise ConfigError(f"{state.run.label}: {state.fault}")
        if anew and not any(step.found or step.running for c in state.cells for step in c.steps):
            Notes(state.run.config, out).forget_choice()
        jobs += [
            CellJob.of(state.run, cell.place, out)
            for cell in state.cells
            if cell.state not in (State.DONE, State.RUNNING)
        ]
    return jobs


def submit(jobs: Sequence[CellJob], name: str, out: Path, resources: Resources) -> str:
    """Hand jobs to Slurm.

    Args:
        jobs: The cells.
        name: Name of the array.
        out: Folder of runs.
        resources: What each job asks for.

    Returns:
        What Slurm calls the array.

    Raises:
        ConfigError: There is no submitit or no Slurm here.
        MachineError: Slurm refuses.
    """
    executor = _executor(name, out, resources)
    try:
        submitted = executor.submit_array(list(jobs))
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        raise MachineError(f"Slurm does not take the jobs: {plain(error, LONGEST)}") from error
    return str(submitted[0].job_id).partition("_")[0]


def script(count: int, name: str, out: Path, resources: Resources) -> str:
    """Return the script that Slurm would be handed for so many jobs; nothing is written.

    Raises:
        ConfigError: There is no submitit here.
    """
    executor = _executor(name, out, resources, only_script=True)
    executor.parameters["map_count"] = count
    return str(executor._make_submission_file_text(executor._submitit_command_str, name))


def _executor(name: str, out: Path, resources: Resources, *, only_script: bool = False) -> Any:
    try:
        from submitit import SlurmExecutor
    except ImportError as error:
        raise ConfigError(
            "camzoo grid slurm needs submitit: pip install 'camzoo[slurm]'"
        ) from error

    class Writer(SlurmExecutor):
        """Writes scripts where there is no Slurm, too."""

        @classmethod
        def affinity(cls) -> int:
            return 1

    folder = out.absolute() / FOLDER / name
    try:
        executor = (Writer if only_script else SlurmExecutor)(folder, max_num_timeout=_REQUEUES)
        executor.update_parameters(**resources.parameters(name))
    except RuntimeError as error:
        raise ConfigError(
            "there is no Slurm on this machine (no srun); give the command where jobs are "
            "submitted, or add --dry-run"
        ) from error
    return executor


def _deaf() -> None:
    """Ignore the warning that the time is up, which Slurm sends to all processes of a job."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _blame(request: str, code: int) -> None:
    """Write down that the process of a cell ended without a word of its own."""
    from camzoo.harness.grid.cell import GridCell

    why = f"its process ended with exit code {code}; its log says why"
    if code < 0:
        why = (
            f"its process was ended by {signal.Signals(-code).name}, as the system does where "
            "memory is used up; ask for more, or for smaller batches"
        )
    GridCell.read(request).blame(why)
