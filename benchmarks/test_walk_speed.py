"""The random walk over a stencil beside the squared matrix of the papers' code."""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks.results import machine, table, write_section
from benchmarks.timing import interleaved, milliseconds, ratio
from camzoo.refine.neighbours import ends, half_plane
from camzoo.refine.pair_affinity import PairAffinity, affinity_from_edges
from camzoo.refine.random_walk import random_walk

RADIUS, BETA, EXP_TIMES, CLASSES = 5, 10.0, 8, 4
GRIDS, ROUNDS = (32, 48, 64), 2
#: Grid of a 512 x 512 slice at stride 4: the matrix takes 1 GiB, one squaring 8.8e12 operations.
LARGE, TARGET = 128, 100


@pytest.fixture(autouse=True)
def _one_thread():
    """Numbers that underflow would slow the squared matrix down ten times; flush them for both."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)


def scene(grid: int) -> tuple[torch.Tensor, PairAffinity]:
    """Return maps [1, 4, grid, grid] and affinities of smooth edges."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((1, 1, 8, 8), generator=generator)
    edges = F.interpolate(coarse, size=(grid, grid), mode="bicubic")[0].clamp(0, 1)
    maps = torch.rand((1, CLASSES, grid, grid), generator=generator)
    return maps, affinity_from_edges(edges, RADIUS)


def matrix(affinity: PairAffinity) -> torch.Tensor:
    """Return A [h w, h w], with a_ii = 1."""
    height, width = affinity.values.shape[2:]
    places = torch.arange(height * width).view(height, width)
    dense = torch.eye(height * width)
    for plane, offset in zip(affinity.values[0], affinity.offsets, strict=True):
        first, second = ends(height, width, offset)
        i, j = places[first].flatten(), places[second].flatten()
        dense[i, j] = dense[j, i] = plane[first].flatten()
    return dense


def squared(maps: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    """Walk as AffinityNet's and IRNet's code does, from the matrix of affinities on."""
    walk = dense**BETA
    walk = walk / walk.sum(dim=0, keepdim=True)
    for _ in range(EXP_TIMES):
        walk = walk @ walk
    return (maps.flatten(2)[0] @ walk).view_as(maps)


def stencil(maps: torch.Tensor, affinity: PairAffinity) -> torch.Tensor:
    return random_walk(maps, affinity, beta=BETA, steps=2**EXP_TIMES)


def operations(grid: int) -> tuple[float, float]:
    """Return additions and multiplications of the squared matrix and of the stencil."""
    pixels = grid**2
    dense = EXP_TIMES * 2 * pixels**3 + 2 * CLASSES * pixels**2
    # Per pair, step and class: a difference, and two products that are added up.
    pairs = sum((grid - dy) * (grid - abs(dx)) for dy, dx in half_plane(RADIUS))
    return dense, 2**EXP_TIMES * CLASSES * (5 * pairs + 2 * pixels)


def row(grid, sparse, dense, faster):
    """One line of the table."""
    all_pairs, stencils = operations(grid)
    return {
        "grid": f"{grid} x {grid}",
        "slice": f"{4 * grid} x {4 * grid}",
        "stencil, ms": milliseconds(sparse),
        "squared, s": dense,
        "squared / stencil": faster,
        "operations": f"{stencils:.2g} and {all_pairs:.2g}",
        "their ratio": f"{all_pairs / stencils:.0f}",
    }


def both(grid):
    """Time both on a grid that the matrix is small enough for."""
    maps, affinity = scene(grid)
    dense = matrix(affinity)
    torch.testing.assert_close(stencil(maps, affinity), squared(maps, dense), atol=1e-3, rtol=0)
    times = interleaved(
        {"stencil": lambda: stencil(maps, affinity), "squared": lambda: squared(maps, dense)},
        ROUNDS,
    )
    faster = ratio(times["squared"], times["stencil"])
    return row(grid, times["stencil"], f"{np.median(times['squared']):.3g}", faster)


def one_squaring(affinity):
    """Time a single squaring in s."""
    walk = matrix(affinity)
    start = process_time()
    torch.mm(walk, walk)
    return process_time() - start


def test_walk_beside_the_squared_matrix(benchmark):
    rows = [both(grid) for grid in GRIDS]
    maps, affinity = scene(LARGE)
    sparse = interleaved({"stencil": lambda: stencil(maps, affinity)}, 5)["stencil"]
    once = one_squaring(affinity)
    faster = EXP_TIMES * once / float(np.median(sparse))
    rows.append(row(LARGE, sparse, f"{EXP_TIMES * once:.3g} (see below)", f"{faster:.0f}"))
    text = (
        f"x Tⁿ for {CLASSES} maps of one slice, radius {RADIUS} ({len(half_plane(RADIUS))} "
        f"offsets), n = 2^{EXP_TIMES} steps, float32, from the affinities on: camzoo's shifted "
        "sums over a stencil, and the matrix of all pairs squared as in the code of AffinityNet "
        "and IRNet. CPU time on one thread, median (quartiles) of "
        f"{ROUNDS} rounds taking turns, of 5 in the last row. Results agree to 1e-3 where both "
        "were run. Numbers that underflow are flushed to zero for both; without that the matrix is "
        f"slowed down several times.\n\n{table(rows)}\n\n"
        f"- The last row's matrix takes {LARGE**4 * 4 / 2**30:g} GiB. One squaring was measured, "
        f"{once:.3g} s, and multiplied by {EXP_TIMES}.\n"
        f"- Target: {TARGET} times as fast for a slice of {4 * LARGE} x {4 * LARGE}. The lineage "
        "of C-CAM takes 2^4 steps on MR: half the squarings and a sixteenth of the steps.\n"
        "- *operations*: additions and multiplications, of the stencil and of the squarings. A "
        "processor comes nearer to its peak in a matrix product than in shifted sums, so times "
        f"lie closer together.\n\n{machine('camzoo', 'torch')}"
    )
    write_section("Random walk", text)
    assert faster > TARGET
    benchmark.pedantic(stencil, (maps, affinity), rounds=3, warmup_rounds=1)
