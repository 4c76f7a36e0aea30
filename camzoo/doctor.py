"""What camzoo finds on a machine, and what is missing."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from camzoo.cams.base import cams
from camzoo.cams.steps import steps
from camzoo.data.datasets import datasets
from camzoo.environment import choose_device, describe
from camzoo.errors import CamzooError
from camzoo.segment import baselines

#: Free disk below which a run of the paper preset may not fit.
_ENOUGH_DISK_GB = 20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        text: What was found.
        good: Whether camzoo can run with it.
    """

    name: str
    text: str
    good: bool = True


def examine() -> list[Finding]:
    """Look at everything that camzoo runs on."""
    return [*_software(), *_compute(), _disk(), *_plugins()]


def _software() -> Iterator[Finding]:
    facts = describe(torch.device("cpu"))
    yield Finding("python", str(facts["python"]))
    packages = facts["packages"]
    assert isinstance(packages, dict)
    for package, version in packages.items():
        yield Finding(package, version, version != "not installed")


def _compute() -> Iterator[Finding]:
    device = choose_device("auto")
    name = describe(device)["device_name"]
    yield Finding("device", f"{device} ({name}), {os.cpu_count()} CPU cores")
    fast, slow = (_seconds(device, kind) for kind in (torch.bfloat16, torch.float32))
    yield Finding("bf16", f"{slow / fast:.1f} x the speed of fp32 in a matrix product")


def _seconds(device: torch.device, kind: torch.dtype) -> float:
    """Best of a few products of 512 x 512 matrices."""
    a = torch.ones(512, 512, device=device, dtype=kind)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        # Reading an element waits for the device.
        (a @ a)[0, 0].item()
        times.append(time.perf_counter() - began)
    return min(times)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    return Finding("free disk", f"{free:.0f} GB (paper preset: {_ENOUGH_DISK_GB} GB)", free > 1)


def _plugins() -> Iterator[Finding]:
    for registry in (cams, steps, baselines, datasets):
        broken = []
        for name in registry.names():
            try:
                registry.get(name)
            except CamzooError as error:
                broken.append(str(error))
        text = f"{len(registry.names())} registered" + "".join(f"; {why}" for why in broken)
        yield Finding(f"{registry.kind}s", text, not broken)
