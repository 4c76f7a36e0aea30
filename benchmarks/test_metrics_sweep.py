"""The threshold sweep beside a plain loop, and what more thresholds cost."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.results import machine, table, write_section
from benchmarks.timing import interleaved, milliseconds, ratio
from camzoo.metrics.sweep import threshold_sweep

ROUNDS = 7
CLASSES, SHAPE = 4, (32, 320, 320)
TARGET = 1.3


def maps_and_labels():
    """Return maps [4, 32, 320, 320] like normalised CAMs (half of the voxels 0) and labels."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn((1, CLASSES, 8, 20, 20), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=SHAPE, mode="trilinear")[0].clamp(min=0)
    maps = (smooth / smooth.amax(dim=(1, 2, 3), keepdim=True)).numpy()
    labels = np.where(maps.max(axis=0) > 0.4, maps.argmax(axis=0) + 1, 0).astype(np.uint8)
    return maps, np.roll(labels, 7, axis=2)


def plain_loop(maps, labels, thresholds):
    """One comparison per threshold and class, the argmax taken once."""
    best, winner = maps.max(axis=0), maps.argmax(axis=0)
    planes = [(winner == c, labels == c + 1) for c in range(len(maps))]
    return np.array(
        [
            [np.count_nonzero((best > t) & mine & truth) for t in thresholds]
            for mine, truth in planes
        ]
    )


def test_sweep_beside_a_plain_loop(benchmark):
    maps, labels = maps_and_labels()
    few, many = np.linspace(0.1, 0.9, 9), np.linspace(0.01, 0.99, 99)
    np.testing.assert_array_equal(
        threshold_sweep(maps, labels, many).tp, plain_loop(maps, labels, many)
    )
    half = maps.astype(np.float16)
    times = interleaved(
        {
            "sweep, 9 thresholds": lambda: threshold_sweep(maps, labels, few),
            "sweep, 99 thresholds": lambda: threshold_sweep(maps, labels, many),
            "sweep, 99 thresholds, float16 maps": lambda: threshold_sweep(half, labels, many),
            "plain loop, 9 thresholds": lambda: plain_loop(maps, labels, few),
            "plain loop, 99 thresholds": lambda: plain_loop(maps, labels, many),
        },
        ROUNDS,
    )
    base = times["sweep, 9 thresholds"]
    rows = [
        {
            "what": what,
            "ms": milliseconds(seconds),
            "times the sweep at 9": ratio(seconds, base),
        }
        for what, seconds in times.items()
    ]
    more = ratio(times["sweep, 99 thresholds"], base)
    text = (
        f"Counts of {CLASSES} classes on float32 maps of {' x '.join(map(str, SHAPE))} voxels; "
        "the loop takes the argmax once and then one comparison per threshold and class. Median "
        f"(quartiles) CPU time of {ROUNDS} rounds in one process, taking turns.\n\n"
        f"{table(rows)}\n\n"
        f"- 99 thresholds cost {more} times what 9 cost (target: at most {TARGET}).\n\n"
        f"{machine('camzoo', 'numpy', 'torch')}"
    )
    write_section("Threshold sweep", text)
    benchmark.pedantic(threshold_sweep, (maps, labels, many), rounds=ROUNDS, warmup_rounds=1)
