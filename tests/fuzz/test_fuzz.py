"""Nothing that is read ends in anything else than a value or one clear line.

The environment variable CAMZOO_FUZZ says for how many seconds of the processor each reader is given
spoilt files; one, unless it is set. Files are numbered: the same number gives the same file.
"""

import faulthandler
import os
import re
import resource
import time
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest

from camzoo.core.errors import CamzooError
from camzoo.data.readers import FORMATS, VOLUME_SUFFIXES
from tests.data.bad_files import WRITERS
from tests.fuzz.mutants import VALUES, generator, mutant
from tests.fuzz.readers import LAYOUTS, READERS, file_datasets

SECONDS = float(os.environ.get("CAMZOO_FUZZ", "1"))
#: Of the processor; all good files are read in less than a tenth of it.
SLOW = 3.0
#: Seconds after which a read that does not end ends the process, with what it was at.
HANGS = 120
#: Bytes that a read may take beyond what the process has, of files of some thousand bytes.
ROOM = 1 << 31
LONGEST = 1000


class UnclearError(Exception):
    """What was said is no clear line, or more was said than that."""


def require_clear(message):
    if not message.isprintable() or not 10 < len(message) <= LONGEST:
        raise UnclearError(f"{len(message)} letters: {message[:300]!r}")
    if re.search("the memory|MemoryError|allocat", message):
        raise UnclearError(f"a small file took all memory: {message}")


@contextmanager
def little_room():
    """Let the process take so much more memory, and no more."""
    taken = int(Path("/proc/self/statm").read_text("utf-8").split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def enter(door, folder, file):
    """Read a file through a door, which may give the lines that it said; was it refused?

    What takes long is read once more: on a machine that is short of memory anything may.
    """
    began = time.process_time()
    refused = read(door, folder, file)
    if time.process_time() - began > SLOW:
        began = time.process_time()
        read(door, folder, file)
        if time.process_time() - began > SLOW:
            raise UnclearError(f"took {time.process_time() - began:.1f} s")
    return refused


def read(door, folder, file):
    """The same, however long it takes."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            said, refused = door(folder, file), False
        except CamzooError as error:
            said, refused = [str(error)], True
    for message in said or ():
        require_clear(message)
    if warned:
        raise UnclearError(f"warned of {warned[0].message!r} in {warned[0].filename}")
    return refused


def kind_of(error):
    """The same for all errors of one place."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return f"{type(error).__name__} at {place}", str(error)[:400]


class Burst:
    """Gives a reader one spoilt file after the other.

    Attributes:
        found: The first file of each kind that did not end as it should, by kind.
        refused: How many were.
        number: How many were given.
    """

    def __init__(self, name, folder):
        self.name, self.reader, self.folder = name, READERS[name], folder
        self.found, self.refused, self.number = {}, 0, 0
        self.reader.build(folder)
        self.good = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
        for path in self.good:
            for door in self.reader.doors:
                enter(door, folder, path)

    def give(self, number):
        """Give the file of a number; find what is wrong with how it ends."""
        rng = generator(self.name, number)
        path = rng.choice(list(self.good))
        path.write_bytes(mutant(path.name, self.good[path], rng, list(self.good.values())))
        if self.reader.repair is not None and rng.random() < 0.8:
            self.reader.repair(self.folder)
        for door in self.reader.doors:
            try:
                self.refused += enter(door, self.folder, path)
            except Exception as error:
                kind, said = kind_of(error)
                self.found.setdefault(kind, f"number {number}, {path.name}: {said}")
        for other in (path, *(p for p in self.good if self.reader.repair)):
            other.write_bytes(self.good[other])
        self.number += 1


@pytest.mark.parametrize("name", READERS)
def test_spoilt_files_are_read_or_refused_in_one_line(name, tmp_path, capfd, record_property):
    folder = tmp_path / "files"
    folder.mkdir()
    burst = Burst(name, folder)
    until = time.process_time() + SECONDS
    with little_room(), (tmp_path / "hang").open("w") as hang:
        while time.process_time() < until:
            faulthandler.dump_traceback_later(HANGS, exit=True, file=hang)
            burst.give(burst.number)
        faulthandler.cancel_dump_traceback_later()
    record_property("files and refusals", (burst.number, burst.refused))
    assert burst.found == {}
    assert 0 < burst.refused < burst.number * len(burst.reader.doors)
    assert capfd.readouterr().err == ""


def test_every_format_and_every_data_set_has_good_files():
    """A new one needs its line in WRITERS of tests/data/bad_files.py, or in LAYOUTS."""
    assert {kind.name for kind in FORMATS} <= set(READERS)
    assert set(WRITERS) == set(VOLUME_SUFFIXES)
    assert set(LAYOUTS) == file_datasets()


def test_what_is_put_into_files_is_the_same_after_many():
    """Else the number of a file says nothing of what is in it."""
    before = repr(VALUES)
    for number in range(3000):
        mutant("a.json", b'{"a": [[1, 2], {"b": [3]}]}', generator("values", number))
    assert repr(VALUES) == before
