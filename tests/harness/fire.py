"""Kills at random moments, and damage at random places of what a run wrote."""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

from camzoo.core.checksums import SUMS
from camzoo.core.errors import CamzooError
from camzoo.harness.executors.local import Local
from camzoo.harness.lease import holder_of
from camzoo.harness.run import bench
from tests.harness.test_plan import TINY

#: The smallest run with one result of every stage, whose networks train for two epochs.
CONFIG = TINY.changed(
    {
        "methods": ["cam", "centre", "cam[blend]"],
        "training.epochs": 2,
        "segmentation.epochs": 2,
        "threads": 1,
    }
)
#: Of what a run wrote, these hold times alone, and have no checksum.
TIMES = ("made.json", "times.json")
#: Exit code of a driver that gives up, since a task of it was lost twice.
LOST = 75


def drive(out):
    """What each driver does."""
    bench(CONFIG, Path(out))


def drive_workers(out):
    """The same by two workers."""
    try:
        bench(CONFIG, Path(out), executor=Local(2))
    except CamzooError as error:
        if "its worker was killed by SIGKILL" not in str(error):
            raise
        sys.exit(LOST)


def drive_to_a_write(out, number):
    """The same up to so many times that something was written and is to get its name."""
    left = iter(range(number))

    def dying(name_it):
        def named(path, target):
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return name_it(path, target)

        return named

    Path.rename, Path.replace = dying(Path.rename), dying(Path.replace)
    bench(CONFIG, Path(out))


def drivers():
    """A way to start drivers that need not import anything once the first has."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def seconds_of(out):
    """How long a driver takes that nobody disturbs."""
    first = drivers().Process(target=int)  # with which all that drivers share is imported
    first.start()
    first.join()
    began = time.monotonic()
    driver = drivers().Process(target=drive, args=(str(out),))
    driver.start()
    driver.join()
    assert driver.exitcode == 0
    return time.monotonic() - began


def kill_at_random(out, seconds, rng, *, count, most):
    """Let drivers share a run, kill each at random moments, and start it again until it is through.

    Args:
        out: Folder of the run.
        seconds: A driver that lives for longer than a draw up to this is killed.
        rng: Draws the moments.
        count: Number of drivers at once.
        most: Number of kills after which none is killed any more.

    Returns:
        How often one was killed.
    """
    context, kills, alive = drivers(), 0, {}
    through = 0
    while through < count:
        while len(alive) < count - through:
            driver = context.Process(target=drive, args=(str(out),))
            driver.start()
            alive[driver] = time.monotonic() + rng.uniform(0, seconds)
        for driver, end in list(alive.items()):
            driver.join(timeout=0.01)
            if driver.exitcode is None and time.monotonic() > end and kills < most:
                driver.kill()
                driver.join()
                kills += driver.exitcode < 0
            if driver.exitcode is not None:
                del alive[driver]
                assert driver.exitcode in (0, -9), f"a driver ended with {driver.exitcode}"
                through += driver.exitcode == 0
    return kills


def kill_workers(out, seconds, rng, *, most):
    """Let workers share a run, kill those that make something at random moments, as above."""
    kills, ends = 0, {}
    while True:
        driver = drivers().Process(target=drive_workers, args=(str(out),))
        driver.start()
        while driver.exitcode is None:
            driver.join(timeout=0.01)
            for pid in at_work(out) - {driver.pid}:
                end = ends.setdefault(pid, time.monotonic() + rng.uniform(0, seconds))
                if time.monotonic() > end and kills < most:
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
        if driver.exitcode == 0:
            return kills
        assert driver.exitcode == LOST, f"a driver ended with {driver.exitcode}"


def at_work(out):
    """Numbers of the processes that make something in the store of a run."""
    holders = map(holder_of, (out / "store").glob("*/.work-*.lease"))
    return {holder.pid for holder in holders if holder is not None and holder.pid}


def kill_in_writes(out, rng, *, most):
    """Kill drivers at the moment at which something that was written gets its name, likewise."""
    for kills in range(most + 1):
        number = rng.randrange(20) if kills < most else sys.maxsize
        driver = drivers().Process(target=drive_to_a_write, args=(str(out), number))
        driver.start()
        driver.join()
        assert driver.exitcode in (0, -9), f"a driver ended with {driver.exitcode}"
        if driver.exitcode == 0:
            return kills
    raise AssertionError("a driver that was to live was killed")


def results_of(out):
    """The bytes of the tables of the one run in a folder."""
    (rows,) = out.glob("*/rows.parquet")
    return rows.read_bytes(), rows.with_name("curves.parquet").read_bytes()


def written(folder):
    """All files of a folder that have a checksum, and the checksums."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name not in TIMES)
    return sorted(p for p in files if p.name == SUMS or (folder / SUMS).exists())


def spoil(path, rng):
    """Flip a bit of a file, or cut it short; say which."""
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content))
    if rng.random() < 0.5:
        content[place] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        return f"a bit of byte {place} of {path.name}"
    path.write_bytes(content[:place])
    return f"{path.name} cut to {place} bytes"
