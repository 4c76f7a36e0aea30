"""What two workers save: a grid of eight equal cells by one process, by two, and by Ray."""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.results import machine, table, write_section

#: Wall time of two workers over that of one process.
AT_MOST = 0.6
#: Cores that other programs may keep busy meanwhile, on average.
QUIET = 0.1
SEEDS = "0,1,2,3,4,5,6,7"
RAY = "Ray, two workers"
#: What is timed: its name in the table, and the options of the command. The first is the yardstick.
EXECUTORS = {
    "one process": ("--workers", "1"),
    "two workers": ("--workers", "2"),
    RAY: ("--executor", "ray", "--workers", "2"),
}


def grid(out, options):
    """Wall time in seconds of a run as a user starts it, and cores that others kept busy."""
    words = ["bench", "--dataset", "phantom", "--preset", "smoke", "--seeds", SEEDS, "--quiet"]
    words += ["--set", "threads=1", "--device", "cpu", "--out", str(out), *options]
    busy, own, began = busy_seconds(), own_seconds(), time.perf_counter()
    subprocess.run([str(Path(sys.executable).parent / "camzoo"), *words], check=True)
    seconds = time.perf_counter() - began
    others = (busy_seconds() - busy) - (own_seconds() - own)
    return seconds, others / seconds


def busy_seconds():
    """Seconds that all cores together were busy since the machine was started, as Linux counts."""
    user, nice, system, _idle, _waiting, *interrupts = map(
        int, Path("/proc/stat").read_text(encoding="utf-8").split()[1:9]
    )
    return (user + nice + system + sum(interrupts[:2])) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    """CPU seconds of processes that this one has started and waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def installed():
    """Names of what can be timed here."""
    return [name for name in EXECUTORS if name != RAY or importlib.util.find_spec("ray")]


def test_two_workers(benchmark, tmp_path):
    cores = len(os.sched_getaffinity(0))
    if cores < 2:
        pytest.skip("two workers need two cores")
    times = {name: grid(tmp_path / name, EXECUTORS[name]) for name in installed()}
    ratios = report(times, cores)
    assert max(ratios.values()) < AT_MOST
    benchmark.pedantic(grid, args=(tmp_path / "two workers", ("--workers", "2")), rounds=1)


def report(times, cores):
    """Write the section; return by name the share of the time of one process.

    What others kept busy is not known under Ray, whose workers are no children of the command.
    """
    one = times["one process"][0]
    rows = [
        {
            "executor": name,
            "wall time, s": f"{seconds:.1f}",
            "of one": f"{seconds / one:.2f}",
            "cores that others kept busy": "n/a" if name == RAY else f"{load:.2f}",
        }
        for name, (seconds, load) in times.items()
    ]
    if max(load for name, (_, load) in times.items() if name != RAY) > QUIET:
        pytest.skip(f"other programs were at work, nothing is written: {rows}")
    notes = (
        "Eight cells of the phantom (preset smoke, one per seed) with `threads=1`, as "
        f"whole processes from start to tables, once, on {cores} cores. Target: {AT_MOST:g} of the "
        "time of one process."
    )
    write_section("Workers", f"{notes}\n\n{table(rows)}\n\n{machine('camzoo', 'torch')}")
    return {name: seconds / one for name, (seconds, _) in times.items() if name != "one process"}
