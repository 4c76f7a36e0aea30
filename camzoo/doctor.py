"""What camzoo finds on a machine, and what is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from camzoo.cams.base import cams
from camzoo.cams.steps import steps
from camzoo.data.datasets import datasets
from camzoo.environment import choose_device, describe
from camzoo.errors import CamzooError
from camzoo.precision import choose_precision
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
    device = choose_device("auto")
    facts = describe(device)
    return [*_software(facts), *_compute(device, facts), _disk(), *_plugins()]


def _software(facts: Mapping[str, object]) -> Iterator[Finding]:
    yield Finding("python", str(facts["python"]))
    packages = facts["packages"]
    assert isinstance(packages, dict)
    for package, version in packages.items():
        yield Finding(package, version, version != "not installed")


def _compute(device: torch.device, facts: Mapping[str, object]) -> Iterator[Finding]:
    cores = f"{os.cpu_count()} CPU cores"
    yield Finding("device", f"{device} ({facts['device_name']}), {cores}")
    choice = choose_precision("auto", device)
    yield Finding("precision", f"auto is {choice.used} here: {choice.why}")


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
