"""A disk that is full, closed or gone ends a run in one line; what is finished stays."""

import errno
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from camzoo.core.errors import StorageError
from camzoo.core.files import replace_atomically, reserve, storing, write_text
from camzoo.core.progress import Quiet
from camzoo.harness.run import bench
from camzoo.harness.stages import MAPS
from camzoo.harness.store import Store
from tests.harness.test_plan import TINY
from tests.harness.test_store import ask

SMALL = TINY.changed({"methods": ["cam"], "baselines": ["p-cam"]})


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (OSError(errno.ENOSPC, "no space", "/elsewhere/x"), ["No space left", "free some space"]),
        (OSError(errno.EFBIG, "large"), ["File too large", "allow larger files (ulimit -f)"]),
        (OSError(errno.EROFS, "read-only"), ["Read-only file system", "write elsewhere"]),
        (OSError(errno.EIO, "io"), ["Input/output error"]),
        (OSError(errno.EMFILE, "many"), ["Too many open files"]),
        (PermissionError(errno.EACCES, "denied", "FOLDER/a"), ["Permission denied", "FOLDER/a"]),
        (NotADirectoryError(errno.ENOTDIR, "no", "FOLDER"), ["Not a directory", "write elsewhere"]),
        (FileNotFoundError(errno.ENOENT, "gone", "FOLDER/b"), ["No such file", "it is gone"]),
        (FileExistsError(errno.EEXIST, "there", "FOLDER"), ["File exists"]),
        (OSError("FOLDER/x: [Errno 28] Error writing"), ["No space left"]),
        (SafetensorError("I/O error: No space left on device (os error 28)"), ["No space left"]),
        (SafetensorError("I/O error: gone (os error 2)"), ["No such file"]),
        (SafetensorError('IoError(Os { code: 30, kind: X, message: "" })'), ["Read-only"]),
    ],
)
def test_faults_of_a_disk_name_the_folder_and_the_reason(tmp_path, error, parts):
    def filled(text):
        return text.replace("FOLDER", str(tmp_path))

    if isinstance(error, OSError) and error.filename:
        error.filename = filled(error.filename)
    error.args = tuple(filled(a) if isinstance(a, str) else a for a in error.args)
    with pytest.raises(StorageError) as refused, storing(tmp_path):
        raise error
    text = str(refused.value)
    assert text.startswith(f"{tmp_path} cannot be used: ")
    assert all(filled(part) in text for part in parts), text
    assert "\n" not in text


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "gone", "/data/of/somebody"),
        PermissionError(errno.EACCES, "denied", "/data/of/somebody"),
        OSError("strange"),
        SafetensorError("header too large"),
        ValueError("no space left on device"),
    ],
)
def test_faults_elsewhere_are_somebody_elses(tmp_path, error):
    with pytest.raises(type(error)) as passed, storing(tmp_path):
        raise error
    assert passed.value is error


class DoingAt(Quiet):
    """Does something once, at a tick of a stage whose title begins with a word."""

    def __init__(self, word, do):
        self.word, self.do, self.done = word, do, False

    @contextmanager
    def stage(self, title):
        def tick(_done, _total):
            if title.startswith(self.word) and not self.done:
                self.done = True
                self.do()

        yield tick


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    result = bench(SMALL, out)
    assert not result.failures
    return out, (result.folder / "rows.parquet").read_bytes()


STAGES = {
    "reading volumes": None,
    "training the classifier": "train",
    "maps": "maps",
    "threshold sweep": "curves",
    "surface distances": "scores",
    "training unet": "segment",
    "segmenting": "segment",
    "scoring": "segment-scores",
}


def without(whole, out, stage):
    """A copy of a store in which what comes with and after a stage is still to be made."""
    order = ["prepare", *[name for name in STAGES.values() if name]]
    last = order[order.index(stage or "prepare") :]
    shutil.copytree(whole / "store", out / "store", ignore=shutil.ignore_patterns(*last))


@pytest.mark.parametrize("word", STAGES)
def test_a_store_that_vanishes_ends_the_run_and_no_method(whole, tmp_path, word):
    without(whole[0], tmp_path, STAGES[word])
    gone = DoingAt(word, lambda: shutil.rmtree(tmp_path / "store"))
    with pytest.raises(StorageError, match="cannot be used: No such file or directory"):
        bench(SMALL, tmp_path, gone)
    assert gone.done
    assert not list(tmp_path.glob("phantom-*"))


@pytest.mark.parametrize("word", ["training the classifier", "maps", "training unet", "scoring"])
def test_a_disk_that_is_full_ends_the_run_and_what_is_finished_stays(
    whole, tmp_path, word, monkeypatch
):
    without(whole[0], tmp_path, STAGES[word])
    replace = Path.replace

    def full(_self, _target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match="No space left on device"):
        bench(SMALL, tmp_path, DoingAt(word, lambda: monkeypatch.setattr(Path, "replace", full)))
    monkeypatch.setattr(Path, "replace", replace)
    result = bench(SMALL, tmp_path)
    assert (result.folder / "rows.parquet").read_bytes() == whole[1]
    assert result.found["prepare"] == 1


@pytest.mark.parametrize("word", ["reading volumes", "maps", "training unet"])
def test_files_that_may_grow_no_further_end_the_run_and_what_is_finished_stays(
    whole, tmp_path, word
):
    """The system itself refuses what is written, as it does on a disk that is full."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    without(whole[0], tmp_path, STAGES[word])
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        with pytest.raises(StorageError, match=r"cannot be used: File too large.*ulimit -f"):
            bench(SMALL, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    result = bench(SMALL, tmp_path)
    assert (result.folder / "rows.parquet").read_bytes() == whole[1]
    assert result.found.get("prepare", 0) == (word != "reading volumes")


@pytest.mark.parametrize("place", ["file", "file/below", "file/far/below"])
def test_a_folder_of_runs_below_a_file_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("here")
    with pytest.raises(StorageError, match=r"Not a directory.*write elsewhere"):
        bench(SMALL, tmp_path / place)
    assert (tmp_path / "file").read_text("utf-8") == "here"


def test_a_store_of_which_all_is_found_need_not_be_written(whole, tmp_path, monkeypatch):
    """Locks are for what is made; the folder of the run is named when it cannot be written."""
    shutil.copytree(whole[0] / "store", tmp_path / "store")

    def closed(self, *_args, **_kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "mkdir", closed)
    with pytest.raises(StorageError) as refused:
        bench(SMALL, tmp_path)
    (run,) = whole[0].glob("phantom-*")
    assert str(refused.value).startswith(f"{tmp_path / run.name} cannot be used: Read-only")


def test_a_read_only_store_that_lacks_something_is_named(whole, tmp_path, monkeypatch):
    without(whole[0], tmp_path, "curves")

    def closed(path, flags, *rest, opened=os.open, **named):
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", closed)
    with pytest.raises(StorageError, match=r"cannot be used: Read-only file system .*elsewhere"):
        bench(SMALL, tmp_path)
    monkeypatch.undo()
    result = bench(SMALL, tmp_path)
    assert (result.folder / "rows.parquet").read_bytes() == whole[1]
    assert "maps" in result.found


def test_place_on_the_disk_is_taken_before_it_is_mapped(tmp_path):
    path = tmp_path / "a.npy"
    np.lib.format.open_memmap(path, "w+", np.float16, (64, 1, 64, 64))
    reserve(path)
    if hasattr(os, "posix_fallocate"):
        assert path.stat().st_blocks * 512 >= 64 * 64 * 64 * 2
    assert np.load(path).shape == (64, 1, 64, 64)


def test_reserving_passes_on_a_full_disk_and_no_other_lack(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"1")

    def refuse(number):
        def allocate(*_args):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "posix_fallocate", allocate, raising=False)

    refuse(errno.EOPNOTSUPP)
    reserve(path)
    refuse(errno.ENOSPC)
    with pytest.raises(OSError, match="No space"):
        reserve(path)


def test_half_a_file_never_stays(tmp_path):
    path = tmp_path / "x.json"
    write_text(path, "old")

    def fail_halfway():
        with replace_atomically(path) as partial:
            partial.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail_halfway()
    assert path.read_text("utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_what_is_found_is_said_once(tmp_path):
    class Told(Quiet):
        def __init__(self):
            self.notes, self.details = [], []

        def note(self, text):
            self.notes.append(text)

        def detail(self, text):
            self.details.append(text)

    def make(folders):
        for folder in folders.values():
            (folder / "x").write_text("x")
        return set(folders)

    first, told = Told(), Told()
    requests = {name: ask({"n": name}, MAPS, "maps, seed 0") for name in "ab"}
    store = Store(tmp_path, first)
    store.get_all(requests, make)
    store.get_all(requests, make)
    assert first.notes == []
    assert (store.made, store.found) == ({"maps": 2}, {})
    again = Store(tmp_path, told)
    for _ in range(2):
        again.get_all(requests | {"c": ask({"n": "c"}, MAPS, "maps, seed 0")}, make)
    (line,) = told.notes
    assert line.startswith("maps, seed 0: found a, b (made 20")
    assert len(told.details) == 2
    assert (again.made, again.found) == ({"maps": 1}, {"maps": 2})
    made = again.find("maps", {"n": "c"})
    assert made.made.seconds >= 0
    assert again.when(made) == made.made.when
    assert again.when(again.find("maps", {"n": "d"})) is None
