"""What camzoo finds on a machine, and what is missing."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from packaging.requirements import InvalidRequirement, Requirement

from camzoo.core.plugin_import import said
from camzoo.core.registry import Registry
from camzoo.registries import REGISTRIES

if TYPE_CHECKING:
    pass

#: Brought by timm, and built for one version of torch each: the other half of a broken pair.
_BUILT_FOR_TORCH: Final = "torchvision"
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
    broken = _broken_torch()
    if broken:
        return [*broken, *_not_taken()]
    return [*_software(), *_compute(), _disk(), *_plugins(), *_not_taken()]


def _broken_torch() -> list[Finding]:
    """Why torch cannot be imported, without which nothing else can be looked at."""
    try:
        importlib.import_module("torch")
    except Exception as error:  # whatever torch and the packages that plug into it raise
        return [Finding("torch", f"it cannot be imported: {said(error)}", good=False)]
    return []


def _software() -> Iterator[Finding]:
    import torch

    from camzoo.core.environment import NOT_INSTALLED, describe, installed_version

    facts = describe(torch.device("cpu"))
    yield Finding("python", str(facts["python"]))
    packages = facts["packages"]
    assert isinstance(packages, dict)
    packages |= {_BUILT_FOR_TORCH: installed_version(_BUILT_FOR_TORCH)}
    for package, version in packages.items():
        unmet = _unmet(package)
        good = version != NOT_INSTALLED and not unmet
        yield Finding(package, ", but it ".join([version, *unmet]), good)


def _unmet(package: str) -> list[str]:
    """What an installed package needs in another version; importing them would take seconds."""
    from camzoo.core.environment import NOT_INSTALLED, installed_version

    try:
        needs = [Requirement(text) for text in requires(package) or ()]
    except (PackageNotFoundError, InvalidRequirement):
        return []
    found = {need.name: installed_version(need.name) for need in needs if _applies(need)}
    return [
        f"needs {need}, found {found[need.name]}"
        for need in needs
        if found.get(need.name, NOT_INSTALLED) != NOT_INSTALLED
        and not need.specifier.contains(found[need.name], prereleases=True)
    ]


def _applies(need: Requirement) -> bool:
    return need.marker is None or need.marker.evaluate({"extra": ""})


def _compute() -> Iterator[Finding]:
    from camzoo.core.environment import choose_device, describe
    from camzoo.network.precision import choose_precision

    device = choose_device("auto")
    name = describe(device)["device_name"]
    yield Finding("device", f"{device} ({name}), {os.cpu_count()} CPU cores")
    choice = choose_precision("auto", device)
    yield Finding("precision", f"auto is {choice.used} here: {choice.why}")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    return Finding("free disk", f"{free:.0f} GB (paper preset: {_ENOUGH_DISK_GB} GB)", free > 1)


def _plugins() -> Iterator[Finding]:
    """What is registered, and a finding of its own for everything that does not load."""
    for registry in REGISTRIES.values():
        yield Finding(f"{registry.kind}s", f"{len(registry.names())} registered")
        for name in registry.names():
            fault = _fault(registry, name)
            if fault:
                yield Finding(f"{registry.kind} {name}", fault, good=False)


def _not_taken() -> Iterator[Finding]:
    """Packages whose entries the registries could not take, each once."""
    lines = [line for registry in REGISTRIES.values() for line in registry.refused()]
    for line in dict.fromkeys(lines):
        yield Finding("plug-in", line, good=False)


def _fault(registry: Registry[Any], name: str) -> str:
    """Why a plug-in cannot be used. Only other people's are imported: that takes seconds."""
    own = registry.package(name) == "camzoo"
    description = registry.describe(name) if own else registry.imported(name)
    return description.fault
