"""Tasks of a run: their order, their names, how they travel, and what is asked of the store."""

from dataclasses import asdict

import pytest

from camzoo.core.errors import CamzooError
from camzoo.core.progress import Quiet
from camzoo.harness.context import Place
from camzoo.harness.executors.agenda import Agenda
from camzoo.harness.run import bench
from camzoo.harness.tasks import Done, Performed, Task, perform, settled, tasks_of
from tests.harness.test_run import TINY
from tests.harness.test_segmentation import TINY as WITH_BASELINES

GRID = WITH_BASELINES.changed({"data.k_folds": 3, "data.folds": [0, 2], "seeds": [1, 5]})


class Notes(Quiet):
    """Remembers what it is told."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def test_each_task_stands_behind_those_that_it_needs(tmp_path):
    tasks = tasks_of(GRID, tmp_path)
    names = [task.name for task in tasks]
    assert len(set(names)) == len(names) == 1 + 2 * 2 * (1 + 2)
    for number, task in enumerate(tasks):
        assert set(task.needs) <= set(names[:number])
    assert [task.part for task in tasks[:4]] == [
        "prepare", "maps", "baseline supervised", "baseline p-cam",
    ]  # fmt: skip
    assert names[1].endswith(", fold 0, seed 1: maps")
    assert tasks[3].needs == (names[1],)
    assert {(task.place.fold, task.place.seed) for task in tasks} == {
        (0, 1), (0, 5), (2, 1), (2, 5),
    }  # fmt: skip


def test_tasks_of_two_runs_have_different_names(tmp_path):
    other = GRID.changed({"backbone.name": "resnet18"})
    names = [task.name for config in (GRID, other) for task in tasks_of(config, tmp_path)]
    assert len(set(names)) == len(names)


def test_a_task_travels_as_one_line(tmp_path):
    config = GRID.changed({"data.root": tmp_path / "däta"})
    for task in tasks_of(config, tmp_path):
        text = task.to_json()
        assert "\n" not in text
        assert Task.from_json(text) == task
        assert Task.from_json(text).name == task.name


def test_what_came_of_a_task_travels_as_one_line():
    done = Done("a", 1.5, {"cam": "it broke"}, "", {"train": 1})
    assert Done.from_json(done.to_json()) == done
    assert asdict(done)["made"] == {"train": 1}


def test_nothing_is_left_that_another_machine_would_choose(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / "w.safetensors"
    config = GRID.changed(
        {"device": "auto", "data.root": "data", "backbone.weights": "w.safetensors"}
    )
    fixed = settled(config)
    assert fixed.device in ("cpu", "cuda")
    assert fixed.data.root == tmp_path / "data"
    assert fixed.backbone.weights == weights
    assert fixed.training.precision in ("bf16", "fp32")
    assert fixed.segmentation.precision in ("bf16", "fp32")
    assert settled(fixed) == fixed


def test_after_its_tasks_a_run_makes_nothing(tmp_path):
    config = WITH_BASELINES.changed({"baselines": ["supervised"], "segmentation.epochs": 1})
    tasks = tasks_of(settled(config), tmp_path)
    done = {task.name: perform(task) for task in tasks}
    assert [each.fault for each in done.values()] == ["", "", ""]
    assert done[tasks[0].name].made == {"prepare": 1}
    assert done[tasks[1].name].made == {"train": 1, "maps": 1, "curves": 1, "scores": 1}
    assert set(done[tasks[2].name].made) == {"maps", "segment", "segment-scores"} - {"maps"}
    again = bench(config, tmp_path)
    assert not again.made


def test_a_fault_of_the_user_is_kept(tmp_path):
    task = tasks_of(TINY.changed({"data.name": "acdc", "data.options": {}}), tmp_path)[0]
    done = perform(task)
    assert done.fault
    assert "\n" not in done.fault


def tasks(*edges):
    """Tasks by name, each with those that it needs."""

    class Named:
        def __init__(self, name, needs):
            self.name, self.needs = name, needs

    return [Named(name, needs) for name, needs in edges]


DIAMOND = (("top", ()), ("left", ("top",)), ("right", ("top",)), ("end", ("left", "right")))


def test_no_task_is_handed_out_before_those_that_it_needs():
    agenda = Agenda(tasks(*DIAMOND), Quiet())
    assert agenda.take().name == "top"
    assert agenda.take() is None
    agenda.end(Done("top"))
    assert [agenda.take().name, agenda.take().name, agenda.take()] == ["left", "right", None]
    agenda.end(Done("right"))
    assert agenda.take() is None
    agenda.end(Done("left"))
    assert agenda.take().name == "end"
    assert not agenda.over
    agenda.end(Done("end"))
    assert agenda.over


def test_what_needs_a_task_that_is_not_done_is_not_done():
    told = Notes()
    agenda = Agenda(tasks(*DIAMOND, ("other", ())), told)
    top = agenda.take()
    agenda.end(Done(top.name, fault="no such folder"))
    assert agenda.take().name == "other"
    agenda.end(Done("other", failures={"cam": "it broke"}))
    assert agenda.over
    assert {name: done.fault for name, done in agenda.done.items()} == {
        "top": "no such folder", "left": "no such folder", "right": "no such folder",
        "end": "no such folder", "other": "",
    }  # fmt: skip
    assert "1 of 5, not done: top: no such folder" in told.notes
    assert told.notes[-1] == "  cam failed: it broke"


def test_a_lost_task_comes_next_and_is_given_up_the_second_time():
    told = Notes()
    agenda = Agenda(tasks(("a", ()), ("b", ()), ("c", ("a",))), told)
    first = agenda.take()
    agenda.lose(first, "its worker was killed")
    assert agenda.take() is first
    agenda.lose(first, "its worker was killed")
    assert agenda.done["a"].fault == agenda.done["c"].fault == "its worker was killed, 2 times"
    assert agenda.take().name == "b"


def test_faults_are_told_once_however_many_tasks_wait_for_them(tmp_path):
    listed = tasks_of(GRID, tmp_path)
    done = {task.name: Done(task.name, fault="no such folder") for task in listed}
    with pytest.raises(CamzooError) as caught:
        Performed.of(listed, done)
    text = str(caught.value)
    assert text.startswith(f"13 of 13 tasks are not done: {listed[0].name}: no such folder; what")


def test_failures_are_gathered_by_cell(tmp_path):
    listed = tasks_of(GRID, tmp_path)
    done = {
        listed[1].name: Done(listed[1].name, failures={"cam": "a"}, made={"train": 1}),
        listed[2].name: Done(listed[2].name, failures={"baseline supervised": "b"}),
        listed[4].name: Done(listed[4].name, made={"train": 1, "maps": 2}),
        "of another run": Done("of another run", fault="not mine"),
    }
    performed = Performed.of(listed, done)
    assert performed.failures[Place(0, 1)] == {"cam": "a", "baseline supervised": "b"}
    assert performed.failures[Place(0, 5)] == {}
    assert performed.made == {"train": 2, "maps": 2}
