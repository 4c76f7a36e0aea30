"""Fair times on a machine that does other things too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import process_time

import numpy as np


def interleaved(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = process_time,
):
    """Time functions in turn, round after round, so that noise of the machine meets them alike.

    Args:
        functions: What to time, by name.
        rounds: How often.
        clock: CPU time by default: what other programs do then hardly matters. Fair only where
            every function runs on one thread; give ``time.perf_counter`` elsewhere.

    Returns:
        Seconds by name, one array [rounds] each; a first round that warms caches is not counted.
    """
    times = {name: [] for name in functions}
    names = list(functions)
    for turn in range(rounds + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = clock()
            functions[name]()
            times[name].append(clock() - start)
    return {name: np.array(seconds[1:]) for name, seconds in times.items()}


def milliseconds(seconds) -> str:
    """Return median and quartiles in ms."""
    low, middle, high = np.percentile(np.asarray(seconds) * 1e3, [25, 50, 75])
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def ratio(slow, fast) -> str:
    """Return median and quartiles of the ratio, round by round."""
    low, middle, high = np.percentile(np.asarray(slow) / np.asarray(fast), [25, 50, 75])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
