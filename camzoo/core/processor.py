"""Whether a processor computes in bfloat16 itself, from the features that it states.

Where it does not, every product of matrices in bfloat16 is emulated: on a CPU with AVX2 alone that
takes 5 to 40 times as long as in float32. Nothing is timed: a busy machine would answer otherwise.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch

#: Features of CPUs that bring products in bfloat16, as torch and Linux call them: AVX512-BF16 and
#: AMX-BF16 of x86, BF16 and its form for vectors (SVE) of Arm.
_FEATURES: Final = ("amx_bf16", "avx512_bf16", "bf16", "svebf16", "sve_bf16")
#: CUDA devices compute in bfloat16 from this capability on (Ampere).
_CAPABILITY: Final = (8, 0)
#: oneDNN, which runs torch's products on CPUs, uses no more than these sets of instructions where
#: one of the variables says so; it reads the first, then the older name. Others have bfloat16.
ISA_LIMITS: Final = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_WITHOUT_BF16: Final = frozenset(
    {
        "SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_MIC", "AVX512_MIC_4OPS",
        "AVX512_CORE", "AVX512_CORE_VNNI",
    }
)  # fmt: skip
_CPU_INFO: Final = Path("/proc/cpuinfo")
_SYSCTL: Final = ("sysctl", "-n", "hw.optional.arm.FEAT_BF16")


@dataclass(frozen=True)
class Native:
    """Whether bfloat16 is computed natively.

    Attributes:
        holds: Whether it is.
        why: What that was seen from, in words.
    """

    holds: bool
    why: str


def native_bf16(device: torch.device) -> Native:
    """Say whether ``device``, a CPU or a CUDA device of this machine, computes in bfloat16."""
    return _of_cuda(device) if device.type == "cuda" else _of_cpu()


@cache
def cpu_features() -> frozenset[str]:
    """What the CPU can do, in the words of torch or of the system; nothing where neither tells."""
    for source in (_told_by_torch, _told_by_linux, _told_by_macos):
        found = frozenset(source())
        if found:
            return found
    return frozenset()


def _of_cuda(device: torch.device) -> Native:
    import torch

    if not torch.cuda.is_available():  # looked at from another machine than the one that computes
        return Native(False, "there is no CUDA device here to ask")
    capability = torch.cuda.get_device_capability(device)
    major, minor = capability
    holds = capability >= _CAPABILITY
    relation = "has bf16" if holds else "has no bf16, which needs 8.0"
    return Native(holds, f"compute capability {major}.{minor} {relation}")


def _of_cpu() -> Native:
    import torch

    found = [name for name in _FEATURES if name in cpu_features()]
    if not found:
        return Native(False, "the CPU states no AVX512-BF16, AMX-BF16 or Arm BF16")
    if not torch.backends.mkldnn.is_available():
        return Native(False, f"the CPU has {found[0]}, but this torch is built without oneDNN")
    name = next((name for name in ISA_LIMITS if os.environ.get(name)), "")
    limit = os.environ.get(name, "")
    if limit.upper() in _WITHOUT_BF16:
        return Native(False, f"the CPU has {found[0]}, but {name}={limit} switches it off")
    return Native(True, f"the CPU has {found[0]}")


def _told_by_torch() -> Iterator[str]:
    """Features by torch, of which older versions tell nothing."""
    import torch

    tell = getattr(torch.cpu, "get_capabilities", dict)
    yield from (name for name, value in tell().items() if value is True)


def _told_by_linux() -> Iterator[str]:
    if not _CPU_INFO.is_file():
        return
    for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):  # of x86, of Arm
            yield from value.split()
            return


def _told_by_macos() -> Iterator[str]:
    if platform.system() != "Darwin":
        return
    try:
        done = subprocess.run(_SYSCTL, capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return
    if done.stdout.strip() == "1":
        yield "bf16"
