"""What a second core saves where cases are swept and measured, which threads of one process do."""

from __future__ import annotations

import os
from time import perf_counter

import numpy as np
import pytest

import camzoo
from benchmarks.balls import SPACING, distance, save
from benchmarks.results import machine, table, write_section
from benchmarks.timing import interleaved, ratio
from camzoo.core.environment import use_threads

CASES, METHODS, GRID = 16, 3, (24, 256, 256)
ROUNDS = 3
#: How many times as fast two cores are to be.
TARGET = 1.8


def test_two_cores(tmp_path, benchmark):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one core")
    write_cases(tmp_path)
    given = {
        "maps swept and measured": {"maps": tmp_path / "maps"},
        "masks measured": {"preds": tmp_path / "preds"},
    }
    rows, gained = [], []
    for what, words in given.items():
        times = interleaved(
            {threads: scoring(tmp_path, words, threads) for threads in (1, 2)},
            ROUNDS,
            clock=perf_counter,
        )
        gained.append(float(np.median(times[1] / times[2])))
        rows.append(
            {
                "what": what,
                "one thread, s": f"{np.median(times[1]):.2f}",
                "two threads, s": f"{np.median(times[2]):.2f}",
                "times as fast": ratio(times[1], times[2]),
            }
        )
    notes = (
        f"`camzoo.score` on {CASES} cases of {' x '.join(map(str, GRID))} voxels and {METHODS} "
        f"methods, with files read and tables made: wall time, median (quartiles) of {ROUNDS} "
        f"rounds in one process, in turn. Target: {TARGET:g} times as fast."
    )
    write_section("Two cores", f"{notes}\n\n{table(rows)}\n\n{machine('camzoo', 'numpy', 'scipy')}")
    assert min(gained) >= TARGET
    benchmark.pedantic(scoring(tmp_path, given["masks measured"], 2), rounds=1)


def scoring(folder, words, threads):
    """Return a function that scores on so many threads."""

    def run():
        with use_threads(threads):
            camzoo.score(masks=folder / "labels", spacing=SPACING, **words)

    return run


def write_cases(folder):
    """Balls as references; as what methods found, others near them, and cones around those."""
    rng = np.random.default_rng(0)
    for case in range(CASES):
        save(folder / "labels" / f"{case}.npy", distance(rng, GRID) < rng.uniform(20, 30))
        for method in range(METHODS):
            far = distance(rng, GRID)
            maps = np.clip(1 - far / 60, 0, 1).astype(np.float16)
            save(folder / "preds" / str(method) / f"{case}.npy", far < rng.uniform(20, 30))
            save(folder / "maps" / str(method) / f"{case}.npy", maps[None])
