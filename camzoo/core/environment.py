"""What a run was made with: device, packages, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import torch

from camzoo import __version__
from camzoo.core.errors import ConfigError
from camzoo.core.processor import ISA_LIMITS

#: Packages whose version can change a number.
PACKAGES: Final = (
    "camzoo", "grad-cam", "monai", "nibabel", "numpy", "pandas", "scipy", "simpleitk", "timm",
    "torch",
)  # fmt: skip

NOT_INSTALLED: Final = "not installed"
#: Where Linux describes its processors.
_CPU_INFO: Final = Path("/proc/cpuinfo")


def choose_device(wish: str) -> torch.device:
    """Turn "auto", "cpu", "cuda" or "cuda:N" into a device.

    Raises:
        ConfigError: The wish cannot be had on this machine.
    """
    if wish == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wish)
    except RuntimeError as error:
        raise ConfigError(f"unknown device {wish!r}; choose auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index):
        raise ConfigError(f"device {wish!r} is not supported; choose auto, cpu, cuda or cuda:N")
    if device.type == "cuda":
        _require_cuda(wish, device.index or 0)
    return device


def _require_cuda(wish: str, index: int) -> None:
    if not torch.cuda.is_available():
        raise ConfigError(f"device {wish!r} asked for, but torch sees no CUDA device; use cpu")
    count = torch.cuda.device_count()
    if index >= count:
        raise ConfigError(
            f"device {wish!r} asked for, but torch sees {count} CUDA devices, counted from 0"
        )


@contextmanager
def use_threads(count: int | None) -> Iterator[None]:
    """Let torch compute on ``count`` CPU threads, or if None on as many as it would; undone after.

    All threads wait for the last one after every layer. Where other programs keep a core busy, that
    can make two threads several times slower than one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def describe(device: torch.device) -> dict[str, object]:
    """Everything about the machine and the software that can change a number, as JSON."""
    cuda = device.type == "cuda"
    return {
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if cuda else processor(),
        "instructions": instructions(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "platform": platform.system(),
        "packages": {package: installed_version(package) for package in PACKAGES},
        "commit": commit(),
    }


def processor() -> str:
    """Model of the processor; its architecture where the system does not tell."""
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def instructions() -> str:
    """Widest instructions that torch's sums on the CPU are made with, as AVX2 or AVX512.

    Sums of other widths round otherwise, and processors of both kinds may state one name. oneDNN,
    which makes the products, may be held below that by a variable of its own.
    """
    own = torch.backends.cpu.get_cpu_capability()
    held = next((os.environ[name] for name in ISA_LIMITS if os.environ.get(name)), "")
    return f"{own}, oneDNN at most {held}" if held else own


def commit() -> str:
    """Commit of the checkout that camzoo runs from; "unknown" when it is none."""
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


@cache
def installed_version(package: str) -> str:
    """Version of a distribution, :data:`NOT_INSTALLED` where there is none.

    Each is looked up once per process, whose code stays that of the version that it has imported.
    """
    if package == "camzoo":  # of the code that runs, which may not be what is installed
        return __version__
    try:
        return version(package)
    except PackageNotFoundError:
        return NOT_INSTALLED
