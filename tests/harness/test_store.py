import json
import multiprocessing
import os
import time

import pytest

from camzoo.core.progress import Quiet
from camzoo.harness import lease
from camzoo.harness.stage import Request, Stage, Work
from camzoo.harness.store import Store

STAGE = Stage("stage", print)
RESUMABLE = Stage("stage", print, resumable=True)


def ask(key, stage=STAGE, title="a result"):
    return Request(stage, key, title, Work("words", 1))


def write(text):
    def make(folder):
        (folder / "result.txt").write_text(text)

    return make


def refuse(_folder):
    raise AssertionError("made again")


def test_a_result_is_made_once(tmp_path):
    store = Store(tmp_path)
    first = store.get(ask({"a": 1}), write("x"))
    again = store.get(ask({"a": 1}), refuse)
    assert first == again
    assert (again.folder / "result.txt").read_text("utf-8") == "x"


def test_another_key_is_another_result(tmp_path):
    store = Store(tmp_path)
    one = store.get(ask({"a": 1}), write("1"))
    two = store.get(ask({"a": 2}), write("2"))
    other = store.get(ask({"a": 1}, Stage("other", print)), write("3"))
    assert len({one.folder, two.folder, other.folder}) == 3
    assert len({one.digest, two.digest, other.digest}) == 3


def test_the_order_of_a_key_does_not_matter(tmp_path):
    store = Store(tmp_path)
    store.get(ask({"a": 1, "b": [2, 3]}), write("x"))
    store.get(ask({"b": (2, 3), "a": 1}), refuse)


def test_a_key_that_is_not_known_yet_cannot_be_asked_for(tmp_path):
    with pytest.raises(ValueError, match="a result: its key is not known"):
        Store(tmp_path).get(ask(None), refuse)


def test_a_failure_leaves_no_result_and_is_made_afresh(tmp_path):
    store = Store(tmp_path)

    def broken(folder):
        (folder / "half.txt").write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.get(ask({}), broken)
    artifact = store.get(ask({}), write("whole"))
    assert sorted(p.name for p in artifact.folder.iterdir()) == [
        "SHA256SUMS",
        "key.json",
        "made.json",
        "result.txt",
    ]


def test_what_made_a_result_stands_beside_it(tmp_path):
    artifact = Store(tmp_path).get(ask({"a": 1}), write("x"))
    told = json.loads((artifact.folder / "made.json").read_text("utf-8"))
    assert told["environment"]["packages"]["torch"]
    assert told["environment"]["commit"]
    assert json.loads((artifact.folder / "key.json").read_text("utf-8")) == {"a": 1}
    assert artifact.made.device == "cpu"
    assert artifact.made.work == Work("words", 1)


@pytest.mark.parametrize("text", ["", "[]", '{"work": 3}', "[" * 100_000])
def test_what_cannot_be_read_says_nothing_of_the_making(tmp_path, text):
    artifact = Store(tmp_path).get(ask({"a": 1}), write("x"))
    (artifact.folder / "made.json").write_text(text)
    assert artifact.made is None


def test_a_resumable_stage_finds_what_it_left(tmp_path):
    store = Store(tmp_path)

    def broken(folder):
        (folder / "checkpoint").write_text("epoch 3")
        raise RuntimeError("killed")

    def resume(folder):
        assert (folder / "checkpoint").read_text("utf-8") == "epoch 3"

    with pytest.raises(RuntimeError):
        store.get(ask({}, RESUMABLE), broken)
    assert store.get(ask({}, RESUMABLE), resume).made.resumed


def left_by(artifact, worker, text, age=0):
    """What a worker left that was killed so many seconds ago."""
    folder = artifact.folder.with_name(f".work-{artifact.digest}-{worker}")
    folder.mkdir(parents=True)
    (folder / "checkpoint").write_text(text)
    os.utime(folder, (time.time() - age,) * 2)
    return folder


def test_of_what_several_left_the_last_whole_one_is_gone_on_from(tmp_path):
    store = Store(tmp_path)
    artifact = store.find("stage", {})
    left_by(artifact, "a", "epoch 2", age=20)
    left_by(artifact, "b", "epoch 3", age=10)
    left_by(artifact, "c.partial", "half a copy of ep")

    def resume(folder):
        assert (folder / "checkpoint").read_text("utf-8") == "epoch 3"

    assert store.get(ask({}, RESUMABLE), resume).made.resumed
    assert [p.name for p in artifact.folder.parent.iterdir()] == [artifact.digest]


def test_a_stage_that_cannot_go_on_begins_with_nothing(tmp_path):
    store = Store(tmp_path)
    left_by(store.find("stage", {}), "a", "half")
    artifact = store.get(ask({}), write("x"))
    assert not (artifact.folder / "checkpoint").exists()
    assert not artifact.made.resumed


def test_a_worker_that_wakes_up_late_changes_nothing_of_the_result(tmp_path):
    """It lost its lease while it was suspended, and still has a file open."""
    told = Told()

    def sleeper(folder):
        with (folder / "checkpoint").open("w") as still_open:
            still_open.write("epoch 1")
            still_open.flush()
            (held,) = tmp_path.glob("stage/.work-*.lease")
            os.utime(held, (time.time() - 1000,) * 2)
            assert Store(tmp_path).get(ask({}, RESUMABLE), faster).made.resumed
            still_open.write(", and 2")
        folder.mkdir(exist_ok=True)
        (folder / "result.txt").write_text("late")

    def faster(folder):
        assert (folder / "checkpoint").read_text("utf-8") == "epoch 1"
        (folder / "result.txt").write_text("fast")

    store = Store(tmp_path, told)
    artifact = store.get(ask({}, RESUMABLE), sleeper)
    assert (artifact.folder / "result.txt").read_text("utf-8") == "fast"
    assert (artifact.folder / "checkpoint").read_text("utf-8") == "epoch 1"
    assert told.notes == ["a result: another worker was faster; its is used"]
    assert [p.name for p in artifact.folder.parent.iterdir()] == [artifact.digest]
    assert Store(tmp_path).get(ask({}, RESUMABLE), refuse) == artifact


def test_all_that_was_asked_for_is_remembered(tmp_path):
    first, again = Store(tmp_path), Store(tmp_path)
    one = first.get(ask({"a": 1}), write("1"))
    again.get(ask({"a": 1}), refuse)
    two = again.get_all({"c": ask({"a": 2}), "failed": ask({"a": 3})}, fill_c)["c"]
    assert again.used == {f"stage/{one.digest}", f"stage/{two.digest}"}


def fill_c(folders):
    (folders["c"] / "result.txt").write_text("c")
    return {"c"}


class Told(Quiet):
    """Keeps what it is told."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def test_several_are_made_together_and_only_those_missing(tmp_path):
    store = Store(tmp_path)
    store.get(ask({"m": "a"}), write("a"))
    asked = []

    def make(folders):
        asked.extend(folders)
        for name, folder in folders.items():
            (folder / "result.txt").write_text(name)
        return {"b"}  # c failed

    made = store.get_all({n: ask({"m": n}) for n in "abc"}, make)
    assert asked == ["b", "c"]
    assert sorted(made) == ["a", "b"]


def _nested(folder):
    (folder / "below").mkdir()
    (folder / "below" / "result.txt").write_text("x")


def _swap(folder):
    (folder / "below" / "result.txt").write_text("y")


def _delete(folder):
    (folder / "below" / "result.txt").unlink()


def _add(folder):
    (folder / "more.txt").write_text("z")


def _forget(folder):
    (folder / "SHA256SUMS").unlink()


def _scribble(folder):
    (folder / "SHA256SUMS").write_bytes(b"\xff\x00")


def _list_more(folder):
    with (folder / "SHA256SUMS").open("a", encoding="utf-8") as file:
        file.write(f"{'0' * 64}  \x1b{'n' * 5000}\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_list_more, r"/\x1bnnn"),
        (_swap, "below/result.txt is not what was written"),
        (_delete, "below/result.txt is missing"),
        (_add, "more.txt has no checksum"),
        (_forget, "SHA256SUMS is no list of checksums"),
        (_scribble, "SHA256SUMS is no list of checksums"),
    ],
)
def test_what_does_not_match_its_checksums_is_set_aside_and_made_again(tmp_path, damage, said):
    artifact = Store(tmp_path).get(ask({}), _nested)
    damage(artifact.folder)
    reporter = Told()
    store = Store(tmp_path, reporter)
    again = store.get(ask({}), _nested)
    assert again == artifact
    assert (again.folder / "below" / "result.txt").read_text("utf-8") == "x"
    aside = tmp_path / "stage" / f".damaged-{artifact.digest}"
    assert aside.is_dir()
    (line,) = reporter.notes
    assert said in line
    assert str(aside) in line
    assert line.isprintable()
    assert len(line) < 1000
    assert (store.made, store.found) == ({"stage": 1}, {})
    reporter.notes.clear()
    assert Store(tmp_path).get(ask({}), refuse) == artifact


def _both(root):
    def make(folders):
        assert list(folders) == ["a", "c"]  # b is a
        return {"a"}  # c failed

    requests = {"a": ask({"x": 1}), "b": ask({"x": 1}), "c": ask({"x": 2})}
    made = Store(root).get_all(requests, make)
    assert sorted(made) == ["a", "b"]
    assert made["a"] == made["b"]


def _slow(root, log, notes):
    def make(folder):
        with log.open("a") as file:
            file.write("made\n")
        time.sleep(0.5)
        (folder / "result.txt").write_text("x")

    told = Told()
    Store(root, told).get(ask({}), make)
    notes.put([os.getpid(), *told.notes])


def test_two_processes_make_it_once_and_one_says_for_whom_it_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "_LOOK_SECONDS", 0.05)
    log = tmp_path / "log"
    context = multiprocessing.get_context("fork")
    notes = context.Queue()
    workers = [context.Process(target=_slow, args=(tmp_path, log, notes)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert log.read_text("utf-8") == "made\n"
    (maker, *_), (_, waits, found) = sorted((notes.get(timeout=5) for _ in workers), key=len)
    assert waits.startswith(f"a result: waits for process {maker} on ")
    assert found.startswith("a result: found")


def test_whoever_asks_is_told_that_a_result_is_being_made(tmp_path):
    store, seen = Store(tmp_path), []
    artifact = store.find("stage", {"a": 1})

    def look(folder):
        seen.append(Store(tmp_path).is_being_made(artifact))
        write("x")(folder)

    assert not store.is_being_made(artifact)
    assert not tmp_path.exists() or not any(tmp_path.iterdir())
    store.get(ask({"a": 1}), look)
    assert seen == [True]
    assert not store.is_being_made(artifact)


def test_two_names_of_one_result_do_not_wait_for_each_other(tmp_path):
    worker = multiprocessing.get_context("fork").Process(target=_both, args=(tmp_path,))
    worker.start()
    worker.join(timeout=30)
    worker.kill()  # where it still waits
    worker.join()
    assert worker.exitcode == 0
