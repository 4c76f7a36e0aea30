"""A forward and a training step with and without memory that is kept; a process of its own each."""

from __future__ import annotations

import json
import subprocess
import sys
from time import process_time

import numpy as np
import timm
import torch
import torch.nn.functional as F

from benchmarks.results import machine, table, write_section
from benchmarks.timing import milliseconds, ratio
from camzoo.core.allocator import keep_freed_memory
from camzoo.network.precision import autocast, choose_precision
from camzoo.presets import preset
from camzoo.segment.unet import build_unet

PROCESSES, ROUNDS = 3, 3
BACKBONE = "mobilenetv2_100"
CPU = torch.device("cpu")
PRECISION = choose_precision("auto", CPU).used


def forward(side, batch=16):
    """A batch of slices through the trunk of the quick preset, as for maps."""
    model = timm.create_model(BACKBONE, features_only=True, output_stride=16).eval()
    model.to(memory_format=torch.channels_last)
    images = torch.rand(batch, 3, side, side).to(memory_format=torch.channels_last)

    def run():
        with torch.inference_mode(), autocast(CPU, "auto"):
            model(images)

    return run


def step(side=256, batch=16):
    """Forward and backward of its classifier."""
    model = timm.create_model(BACKBONE, num_classes=4, output_stride=16).eval()
    model.to(memory_format=torch.channels_last)
    images = torch.rand(batch, 3, side, side).to(memory_format=torch.channels_last)

    def run():
        with autocast(CPU, "auto"):
            logits = model(images)
        logits.float().sum().backward()

    return run


def unet_step():
    """Forward and backward of its U-Net."""
    config = preset("quick", "chaos").segmentation
    network = build_unet(5, config.widths, seed=0)
    images = torch.rand(config.batch, 1, config.side, config.side)
    labels = torch.randint(0, 5, (config.batch, config.side, config.side))

    def run():
        with autocast(CPU, "auto"):
            logits = network(images)
        F.cross_entropy(logits.float(), labels).backward()

    return run


JOBS = {
    "trunk, 16 slices of 512 x 512": lambda: forward(512),
    "trunk, 16 slices of 256 x 256": lambda: forward(256),
    "training step, 16 slices of 256 x 256": step,
    "U-Net training step, 8 slices of 128 x 128": unet_step,
}


def measure(keep):
    """Print the CPU seconds of every job's rounds as JSON."""
    torch.set_num_threads(1)
    if keep and not keep_freed_memory():
        raise RuntimeError("the C library of this system cannot keep freed memory")
    times = {}
    for name, make in JOBS.items():
        run = make()
        run()
        times[name] = []
        for _ in range(ROUNDS):
            start = process_time()
            run()
            times[name].append(process_time() - start)
    print(json.dumps(times))


def in_a_process(keep):
    code = f"from benchmarks.test_allocator_speed import measure; measure({keep})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_kept_memory_beside_the_default(benchmark):
    found = {False: [], True: []}
    for _ in range(PROCESSES):
        for keep in found:
            found[keep].append(in_a_process(keep))
    rows = []
    for name in JOBS:
        given_back, kept = (
            np.array([np.median(run[name]) for run in found[keep]]) for keep in (False, True)
        )
        rows.append(
            {
                "what": name,
                "given back, ms": milliseconds(given_back),
                "kept, ms": milliseconds(kept),
                "given back / kept": ratio(given_back, kept),
            }
        )
    torch.set_num_threads(1)
    notes = (
        f"`camzoo bench` keeps what it frees (`camzoo.core.allocator`); programs by default give "
        f"large blocks back to the system. {BACKBONE}, {PRECISION}, CPU time on one thread: median "
        f"(quartiles) of {PROCESSES} processes of either kind in turn, each the median of {ROUNDS} "
        "rounds."
    )
    write_section("Freed memory", f"{notes}\n\n{table(rows)}\n\n{machine('torch', 'timm')}")
    benchmark.pedantic(forward(256), rounds=1)
