"""Jobs that are killed when their time is up go on, and what Slurm is asked for."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from camzoo.core.errors import ConfigError, MachineError
from camzoo.core.progress import Quiet
from camzoo.evaluate.rows import ROWS
from camzoo.harness.context import Place
from camzoo.harness.grid import slurm
from camzoo.harness.grid.notes import Notes
from camzoo.harness.grid.run import run_grid
from camzoo.harness.grid.slurm import CellJob, Resources, missing_cells, script, submit
from camzoo.harness.grid.state import State, run_state
from tests.harness.grid.small import BACKBONE, PROSTATE, SMALL, runs_of

submitit = pytest.importorskip("submitit", reason="submitit is not installed (extra slurm)")
ASKED = Resources("gpu", minutes=30, cpus=6, gpus=1, memory=12.5, parallel=8)


def children(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text("utf-8").split()] if path.exists() else []


def until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_a_job_whose_time_is_up_goes_on_to_the_same_rows(tmp_path):
    (run,) = runs_of(tmp_path, SMALL + BACKBONE + PROSTATE)
    out = tmp_path / "runs"
    (cell,) = missing_cells([run], out)
    executor = submitit.LocalExecutor(tmp_path / "jobs", max_num_timeout=3)
    executor.update_parameters(timeout_min=10)
    (job,) = executor.submit_array([cell])
    (pid,) = until(lambda: children(job.job_id))
    until(lambda: list(out.glob("store/train/.work-*/*")))  # the classifier is learning
    (worker,) = children(pid)
    os.kill(pid, signal.SIGUSR2)  # what Slurm does before the end of a job's time
    until(lambda: not Path(f"/proc/{worker}").exists())
    assert job.result() == "prostates, tiny, fold 0, seed 0"
    assert "timed-out" in job.stderr()
    state = run_state(run, out)
    assert state.whole
    ((_, undisturbed),) = run_grid([run], tmp_path / "undisturbed", None, Quiet())
    assert state.folder is not None
    assert state.folder.name == undisturbed.folder.name
    assert (state.folder / ROWS).read_bytes() == (undisturbed.folder / ROWS).read_bytes()


@pytest.fixture
def job(tmp_path):
    (run,) = runs_of(tmp_path, SMALL + BACKBONE + PROSTATE)
    return run, CellJob.of(run, Place(0, 0), tmp_path)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
        ("import sys; sys.exit(7)", "ended with exit code 7; its log says why"),
    ],
)
def test_a_process_that_ends_without_a_word_is_noted(tmp_path, monkeypatch, job, code, said):
    run, cell = job
    monkeypatch.setattr(slurm, "COMMAND", (sys.executable, "-c", code))
    with pytest.raises(
        MachineError, match="prostates, tiny, fold 0, seed 0 is not done: exit code"
    ):
        cell()
    (done,) = Notes(run.config, tmp_path).of(Place(0, 0))
    assert said in done.fault
    state = run_state(run, tmp_path).cells[0]
    assert state.state is State.FAILED
    assert said in state.fault


def test_an_exception_leaves_no_process(monkeypatch, job):
    """As the signal handler of submitit raises when the time is up."""
    _, cell = job
    began = []

    def leave(process, _request):
        began.append(process.pid)
        raise SystemExit(-1)

    monkeypatch.setattr(slurm, "COMMAND", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(subprocess.Popen, "communicate", leave)
    with pytest.raises(SystemExit):
        cell()
    with pytest.raises(ProcessLookupError):
        os.kill(began[0], 0)


def test_a_job_goes_on_as_itself(job):
    _, cell = job
    assert cell.checkpoint().function == cell


def test_the_script_asks_for_what_was_said(tmp_path):
    text = script(12, "mine", tmp_path, ASKED)
    asked = dict(
        line.removeprefix("#SBATCH --").split("=", 1)
        for line in text.splitlines()
        if line.startswith("#SBATCH --")
    )
    assert asked["array"] == "0-11%8"
    assert asked["time"] == "30"
    assert asked["partition"] == "gpu"
    assert asked["cpus-per-task"] == "6"
    assert asked["gpus-per-node"] == "1"
    assert asked["mem"] == "12800M"
    assert asked["job-name"] == "mine"
    assert asked["signal"] == "USR2@60"
    assert asked["open-mode"] == "append"
    further = Resources(further={"account": "lab"})
    text = script(1, "mine", tmp_path, further)
    assert "#SBATCH --account=lab" in text
    assert not any(word in text for word in ("--gpus", "--mem", "--partition"))


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Programs of Slurm that answer as it does."""
    programs = tmp_path / "bin"
    programs.mkdir()

    def put(name, text):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)

    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    put("srun", "exit 1")
    return put


def test_cells_are_handed_over_as_one_array(tmp_path, cluster, job):
    cluster("sbatch", 'cp "$1" "$(dirname "$0")/taken.sh"; echo Submitted batch job 4711')
    _, cell = job
    assert submit([cell, cell, cell], "mine", tmp_path, ASKED) == "4711"
    assert "#SBATCH --array=0-2%3" in (tmp_path / "bin" / "taken.sh").read_text("utf-8")
    kept = sorted(path.name for path in (tmp_path / "slurm" / "mine").glob("*.pkl"))
    assert kept == [f"4711_{number}_submitted.pkl" for number in range(3)]


def test_what_slurm_says_is_passed_on(tmp_path, cluster, job):
    cluster("sbatch", "echo sbatch: error: invalid partition specified: gpu >&2; exit 1")
    with pytest.raises(MachineError, match=r"Slurm does not take the jobs: .*invalid partition"):
        submit([job[1], job[1]], "mine", tmp_path, ASKED)


def test_without_slurm_it_is_said_what_to_do(tmp_path, monkeypatch, job):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"no Slurm on this machine .*--dry-run"):
        submit([job[1]], "mine", tmp_path, ASKED)


def test_without_submitit_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigError, match=r"pip install 'camzoo\[slurm\]'"):
        script(1, "mine", tmp_path, ASKED)
