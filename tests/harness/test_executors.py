"""Executors: whoever makes the results, the rows are the same."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from camzoo.core.errors import CamzooError, ConfigError, UnknownNameError
from camzoo.core.progress import Quiet
from camzoo.core.spec import Spec, build
from camzoo.harness.executors import ray
from camzoo.harness.executors.choose import choose_executor
from camzoo.harness.executors.local import Local
from camzoo.harness.run import bench
from camzoo.harness.tasks import Done, settled, tasks_of
from camzoo.registries import cams, executors
from tests.conftest import ROOT
from tests.harness.test_run import TINY
from tests.harness.test_segmentation import TINY as WITH_BASELINES

QUICK = TINY.changed({"training.epochs": 1})
#: Two cells, of which both have two tasks: enough for two workers to share.
GRID = WITH_BASELINES.changed(
    {
        "methods": ["cam", "cam[blend]"],
        "baselines": ["supervised"],
        "seeds": [0, 1],
        "training.epochs": 1,
        "segmentation.epochs": 1,
        "threads": 1,
    }
)
#: A module with a method that ends its process so many times.
DYING = """
import os, signal
from pathlib import Path
from camzoo import CamMethod

class DyingCam(CamMethod):
    '''Mean of the channels, from a process that may be killed.'''

    def saliency(self, view):
        deaths = Path({place!r})
        so_far = len(deaths.read_text("utf-8")) if deaths.exists() else 0
        if so_far < {times}:
            deaths.write_text("x" * (so_far + 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return view.features.mean(1, keepdim=True).expand(-1, view.logits.shape[1], -1, -1)
"""


class Told(Quiet):
    """Remembers what it is told."""

    def __init__(self):
        self.notes, self.ticks = [], []

    @contextmanager
    def stage(self, title):
        yield lambda *numbers: self.ticks.append(numbers)

    def note(self, text):
        self.notes.append(text)


def executor_of(name):
    if name == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'camzoo[ray]'")
    return build(Spec(name, (("workers", 2),)), executors)


def outcome(result):
    return {
        name: (result.folder / name).read_bytes()
        for name in ("rows.parquet", "curves.parquet", "manifest.json")
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The grid by one process."""
    with pytest.MonkeyPatch.context() as patch:  # the checkout may move on meanwhile
        patch.setattr("camzoo.core.environment.commit", lambda: "as tested")
        yield bench(GRID, tmp_path_factory.mktemp("alone"))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(executors))
def test_two_workers_give_the_rows_of_one_process(alone, name, tmp_path):
    told = Told()
    result = bench(GRID, tmp_path, told, executor_of(name))
    assert outcome(result) == outcome(alone)
    assert result.made == alone.made
    assert result.found == alone.found
    assert result.failures == {}
    names = [task.name for task in tasks_of(settled(GRID), tmp_path)]
    assert len(names) == 1 + 2 * 2
    assert sorted(n for n in told.notes if n.startswith("begun")) == sorted(
        f"begun: {name}" for name in names
    )
    assert sorted(n.partition(",")[0] for n in told.notes if " done: " in n) == sorted(
        f"{k + 1} of 5" for k in range(5)
    )
    assert told.ticks == [(k + 1, 5) for k in range(5)]


def dying(folder, times):
    """One cell with a method of which so many processes are killed."""
    module = folder / f"dying_{times}.py"
    module.write_text(DYING.format(place=str(folder / f"deaths-{times}"), times=times))
    place = f"{module}:DyingCam"
    return QUICK.changed({"methods": ["cam", "dying-cam"], "plugins": [place], "threads": 1})


@pytest.fixture
def forgotten():
    """What plug-ins of the test register is forgotten at its end."""
    with cams.temporary():
        yield


@pytest.mark.slow
def test_the_task_of_a_killed_worker_is_begun_once_more_and_then_given_up(forgotten, tmp_path):
    config, out, told = dying(tmp_path, 3), tmp_path / "runs", Told()
    name = tasks_of(settled(config), out)[1].name
    with pytest.raises(CamzooError) as caught:
        bench(config, out, told, Local(1))
    assert f"1 of 2 tasks are not done: {name}: its worker was killed by SIGKILL" in str(
        caught.value
    )
    assert "2 times; what is finished is kept, and the same command goes on" in str(caught.value)
    assert not list(out.glob("*/rows.parquet"))
    again = bench(config, out, told, Local(1))
    assert [n.partition(";")[2] for n in told.notes if n.startswith(f"{name}: its worker was")] == [
        " it is begun once more", " it is begun once more",
    ]  # fmt: skip
    assert set(again.rows["method"]) == {"cam", "dying-cam"}
    assert again.failures == {}
    assert again.made["train"] == 0
    assert again.found["train"] == 1


BROKEN = """
from pathlib import Path
from camzoo import CamMethod

class BrokenCam(CamMethod):
    '''Fails, and counts how often.'''

    def saliency(self, view):
        with Path({place!r}).open("a") as tries:
            tries.write("x")
        raise ValueError("no such thing")
"""


@pytest.mark.slow
def test_what_failed_in_a_worker_is_not_tried_again_when_rows_are_put_together(forgotten, tmp_path):
    tries = tmp_path / "tries"
    module = tmp_path / "broken_module.py"
    module.write_text(BROKEN.format(place=str(tries)))
    place = f"{module}:BrokenCam"
    config = QUICK.changed({"methods": ["cam", "broken-cam"], "plugins": [place]})
    result = bench(config, tmp_path / "runs", executor=Local(1))
    assert result.failures == {"broken-cam": "ValueError: no such thing"}
    assert set(result.rows["method"]) == {"cam"}
    assert tries.read_text("utf-8") == "x"


def children(pid):
    """Processes that a process has started, and theirs."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in found.stdout.splitlines()]
    own = [child for child, parent in pairs if parent == pid]
    return own + [below for child in own for below in children(child)]


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(true, process):
    """Wait for something while a process lives."""
    deadline = time.monotonic() + 300
    while not true():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


def in_training(out):
    """How many classifiers are being trained below a folder of runs."""
    return len([path for path in (out / "store" / "train").glob(".work-*") if path.is_dir()])


@pytest.mark.slow
def test_ctrl_c_stops_all_workers(tmp_path):
    words = ["bench", "--dataset", "phantom:size=64", "--preset", "smoke", "--limit", "5"]
    words += [
        "--set",
        "backbone.name=test_resnet",
        "--set",
        "training.crop=64",
        "--set",
        "maps.side=64",
        "--set",
        "data.size=64",
    ]
    words += ["--set", "training.epochs=10000", "--seeds", "0,1", "--workers", "2"]
    words += ["--out", str(tmp_path)]
    code = "import sys; from camzoo.cli.app import main; main()"
    program = subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0,
    )  # fmt: skip
    wait_until(lambda: in_training(tmp_path) == 2, program)
    workers = children(program.pid)
    assert len(workers) == 2
    os.killpg(program.pid, signal.SIGINT)
    _, said = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "stopped by SIGINT; what is finished is kept" in said
    assert "Traceback" not in said
    assert not any(map(lives, workers))
    assert list((tmp_path / "store" / "prepare").glob("[!.]*"))


@pytest.mark.slow
def test_a_worker_ends_when_whoever_gave_its_task_is_gone(tmp_path):
    task = tasks_of(settled(TINY.changed({"training.epochs": 10000})), tmp_path)[1]
    worker = subprocess.Popen(
        [sys.executable, "-m", "camzoo.harness.perform_task"], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    worker.stdin.write(f"{task.to_json()}\n")
    worker.stdin.flush()
    wait_until(lambda: in_training(tmp_path) == 1, worker)
    worker.stdin.close()
    worker.wait(timeout=60)


def test_a_class_that_only_this_program_knows_is_refused_in_time(tmp_path):
    class Unplaced(cams.get("cam")):
        """CAM by another name."""

        name = "unplaced"

    with (
        cams.temporary({"unplaced": Unplaced}),
        pytest.raises(ConfigError, match="'unplaced' is known to this program alone") as caught,
    ):
        bench(TINY.changed({"methods": ["unplaced"]}), tmp_path, executor=Local(2))
    assert "name it by its place" in str(caught.value)


def test_a_gpu_that_is_named_is_refused(tmp_path, monkeypatch):
    tasks = tasks_of(TINY.changed({"device": "cuda:1"}), tmp_path)
    with pytest.raises(ConfigError, match=r"'cuda:1' asked for, but workers share out the GPUs"):
        Local(2).run(tasks, Quiet())


def test_one_worker_to_each_gpu(tmp_path, monkeypatch):
    from camzoo.harness.executors.local import _gpus

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tasks = tasks_of(TINY.changed({"device": "cuda"}), tmp_path)
    assert _gpus(tasks, 2) == ["0", "1"]
    assert _gpus(tasks, 8) == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert _gpus(tasks, 8) == ["4", "6"]
    assert _gpus(tasks_of(TINY, tmp_path), 2) == [None, None]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, None),
        ({"workers": 1}, None),
        ({"name": "local", "workers": 1}, None),
        ({"workers": 3}, Local),
        ({"name": "local"}, Local),
        ({"name": "local:workers=3"}, Local),
        ({"name": "ray", "workers": 1}, executors.get("ray")),
    ],
)
def test_who_is_asked(given, kind):
    found = choose_executor(**given)
    assert found is None if kind is None else type(found) is kind
    if kind is not None and "3" in str(given):
        assert found.workers == 3


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"name": "lokal"}, UnknownNameError, "did you mean local"),
        ({"name": "local", "address": "auto"}, UnknownNameError, "unknown setting 'address' of"),
        ({"address": "auto"}, ConfigError, "give an executor, as ray"),
        ({"workers": 0}, ConfigError, "workers: takes a whole number from 1 on, got 0"),
        ({"name": "ray:memory=0"}, ConfigError, "memory: takes a number of GiB above 0"),
    ],
)
def test_what_cannot_be_asked_for(given, error, message):
    with pytest.raises(error, match=message):
        choose_executor(**given)


def test_without_ray_it_is_said_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'camzoo\[ray\]'"):
        executors.get("ray")(2).run(tasks_of(TINY, tmp_path), Quiet())


def test_workers_of_ray_keep_freed_memory_as_all_others_do(tmp_path, monkeypatch):
    """Without, every layer's memory goes back to the system, and maps took an eighth more time."""
    done = []
    monkeypatch.setattr(ray, "keep_freed_memory", lambda: done.append("kept"))
    monkeypatch.setattr(ray, "perform", lambda task: done.append(task.name) or Done(task.name))
    task = tasks_of(TINY, tmp_path)[0]
    assert ray.perform_text(task.to_json()) == Done(task.name).to_json()
    assert done == ["kept", task.name]


def test_threads_are_shared_out_unless_they_are_set(monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: 7)
    config = TINY.changed({"threads": None})
    assert Local(2).with_threads(config).threads == 3
    assert Local(9).with_threads(config).threads == 1
    assert Local(2).with_threads(config.changed({"threads": 5})).threads == 5


def test_a_file_holds_a_task_for_a_process(tmp_path):
    """What a job of a cluster runs; what a plug-in prints is not among the answers."""
    file = tmp_path / "task.json"
    file.write_text(tasks_of(settled(TINY), tmp_path / "runs")[0].to_json())
    done = subprocess.run(
        [sys.executable, "-m", "camzoo.harness.perform_task", str(file)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    *notes, last = map(json.loads, done.stdout.splitlines())
    assert [list(note) for note in notes] == [["note"]] * len(notes)
    assert last["done"]["made"] == {"prepare": 1}
    assert last["done"]["fault"] == ""
