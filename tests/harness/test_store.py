import multiprocessing
import time

import pytest

from camzoo.harness.store import Store


def write(text):
    def make(folder):
        (folder / "result.txt").write_text(text)

    return make


def refuse(_folder):
    raise AssertionError("made again")


def test_a_result_is_made_once(tmp_path):
    store = Store(tmp_path)
    first = store.get("stage", {"a": 1}, write("x"))
    again = store.get("stage", {"a": 1}, refuse)
    assert first == again
    assert (again.folder / "result.txt").read_text() == "x"


def test_another_key_is_another_result(tmp_path):
    store = Store(tmp_path)
    one = store.get("stage", {"a": 1}, write("1"))
    two = store.get("stage", {"a": 2}, write("2"))
    other = store.get("other", {"a": 1}, write("3"))
    assert len({one.folder, two.folder, other.folder}) == 3
    assert len({one.digest, two.digest, other.digest}) == 3


def test_the_order_of_a_key_does_not_matter(tmp_path):
    store = Store(tmp_path)
    store.get("stage", {"a": 1, "b": [2, 3]}, write("x"))
    store.get("stage", {"b": (2, 3), "a": 1}, refuse)


def test_a_failure_leaves_no_result_and_is_made_afresh(tmp_path):
    store = Store(tmp_path)

    def broken(folder):
        (folder / "half.txt").write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.get("stage", {}, broken)
    artifact = store.get("stage", {}, write("whole"))
    assert sorted(p.name for p in artifact.folder.iterdir()) == [
        "key.json",
        "made.json",
        "result.txt",
    ]


def test_a_resumable_stage_finds_what_it_left(tmp_path):
    store = Store(tmp_path)

    def broken(folder):
        (folder / "checkpoint").write_text("epoch 3")
        raise RuntimeError("killed")

    def resume(folder):
        assert (folder / "checkpoint").read_text() == "epoch 3"

    with pytest.raises(RuntimeError):
        store.get("stage", {}, broken, resumable=True)
    store.get("stage", {}, resume, resumable=True)


def test_several_are_made_together_and_only_those_missing(tmp_path):
    store = Store(tmp_path)
    store.get("stage", {"m": "a"}, write("a"))
    asked = []

    def make(folders):
        asked.extend(folders)
        for name, folder in folders.items():
            (folder / "result.txt").write_text(name)
        return {"b"}  # c failed

    made = store.get_all("stage", {n: {"m": n} for n in "abc"}, make)
    assert asked == ["b", "c"]
    assert sorted(made) == ["a", "b"]


def _both(root):
    def make(folders):
        assert list(folders) == ["a", "c"]  # b is a
        return {"a"}  # c failed

    made = Store(root).get_all("stage", {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 2}}, make)
    assert sorted(made) == ["a", "b"]
    assert made["a"] == made["b"]


def _slow(root, log):
    def make(folder):
        with log.open("a") as file:
            file.write("made\n")
        time.sleep(0.5)
        (folder / "result.txt").write_text("x")

    Store(root).get("stage", {}, make)


def test_two_processes_make_it_once(tmp_path):
    log = tmp_path / "log"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_slow, args=(tmp_path, log)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert log.read_text() == "made\n"


def test_two_names_of_one_result_do_not_wait_for_each_other(tmp_path):
    worker = multiprocessing.get_context("fork").Process(target=_both, args=(tmp_path,))
    worker.start()
    worker.join(timeout=30)
    worker.kill()  # where it still waits
    worker.join()
    assert worker.exitcode == 0
