"""What the allocator of the C library does with memory that torch frees on the CPU.

Every layer of a network asks for megabytes and frees others. By default glibc gets such blocks from
the system and gives them back at once, and the system clears each page before it hands it out
again: on large batches a third of the time of a forward pass and more (benchmarks/RESULTS.md).
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Final

# Numbers of <malloc.h>.
_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4
_LARGEST_INT: Final = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let the process keep what it frees and use it again; for programs that only compute.

    It then holds on to the most it ever needed, until :func:`release_freed_memory`.

    Returns:
        Whether the C library can do so; others than glibc cannot, and nothing changes.
    """
    mallopt = getattr(_libc(), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST_INT))


def release_freed_memory() -> None:
    """Give back what was freed, where the C library can."""
    trim = getattr(_libc(), "malloc_trim", None)
    if trim is not None:
        trim(0)


@cache
def _libc() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):  # no C library under this name: Windows
        return None
