"""What a stage costs: time and the high-water marks of memory."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

import torch

from camzoo.core.allocator import release_freed_memory

_STATUS: Final = Path("/proc/self/status")
#: Writing 5 there sets the high-water mark of resident memory back (proc(5)).
_RESET: Final = Path("/proc/self/clear_refs")
_PEAK: Final = re.compile(r"VmHWM:\s+(\d+) kB")


@dataclass(eq=False)
class CostMeter:
    """Measures the body of a ``with`` statement.

    The memory is that of the whole process, libraries and what was loaded before included; pages
    of memory-mapped files count while they are resident. A meter inside another sets the system's
    high-water marks back, so the outer one takes down what it had seen till then.

    Attributes:
        device: Device of which the memory is measured, too, where it is a CUDA device.
        seconds: Wall time.
        cpu_seconds: Time of the processor, of all threads of this process.
        memory_mib: High-water mark of resident memory; None where the system does not tell it.
        cuda_mib: Likewise of memory allocated on the CUDA device.
    """

    device: torch.device
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_mib: float | None = None
    cuda_mib: float | None = None

    _open: ClassVar[list[CostMeter]] = []

    _reset: bool = False
    _began: float = 0.0
    _cpu_began: float = 0.0

    def __enter__(self) -> Self:
        release_freed_memory()
        _take_down(self._open)
        self._reset = _reset_peak()
        if self.device.type == "cuda":
            torch.cuda.init()  # a resumed run may not have used the device yet
            torch.cuda.reset_peak_memory_stats(self.device)
        self._open.append(self)
        self._began, self._cpu_began = time.perf_counter(), time.process_time()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.seconds = time.perf_counter() - self._began
        self.cpu_seconds = time.process_time() - self._cpu_began
        _take_down(self._open)
        self._open.remove(self)

    def record(self) -> dict[str, float | None]:
        """What was measured, as JSON."""
        return {
            "seconds": self.seconds, "memory_mib": self.memory_mib, "cuda_mib": self.cuda_mib,
        }  # fmt: skip


def _take_down(meters: Sequence[CostMeter]) -> None:
    """Raise the marks of open meters to those of the system."""
    resident = _resident_peak_mib()
    for meter in meters:
        if meter._reset and resident is not None:
            meter.memory_mib = max(meter.memory_mib or 0.0, resident)
        if meter.device.type == "cuda":
            allocated = torch.cuda.max_memory_allocated(meter.device) / 2**20
            meter.cuda_mib = max(meter.cuda_mib or 0.0, allocated)


def _reset_peak() -> bool:
    """Set the high-water mark back; where that cannot be done it says nothing of a stage."""
    try:
        _RESET.write_text("5", encoding="utf-8")
    except OSError:
        return False
    return True


def _resident_peak_mib() -> float | None:
    try:
        found = _PEAK.search(_STATUS.read_text(encoding="utf-8"))
    except OSError:
        return None
    return int(found[1]) / 1024 if found else None
