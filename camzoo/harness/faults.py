"""Whose fault an error of a plug-in is: its own, which fails its row, or the machine's.

A full disk, no memory or a device that is gone say nothing of a method. Such an error ends the run,
which goes on from there when the same command is given again; counting it against a method would
put a lie into a finished table.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch

from camzoo.core.errors import CamzooError, DamagedError, MachineError
from camzoo.core.text import reason

#: All that plug-ins raise which fails their own row. ``sys.exit`` is among it; Ctrl-C is not.
PLUGIN_FAULTS: Final = (Exception, SystemExit)
#: Files that are not where they were looked for: the business of whoever named them, unless they
#: are the run's own.
_WRONG_PLACE: Final = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
#: What libraries that are not written in Python say, in exceptions of any type.
_SAID: Final = re.compile(
    r"""
      DefaultCPUAllocator:\ (?:can't\ allocate|not\ enough)\ memory   # torch, on the CPU
    | (?:CUDA|HIP|MPS|XPU)\ (?:error:\ )?(?:backend\ )?out\ of\ memory
    | (?:CUBLAS|CUDNN|CUFFT|CUSPARSE)_STATUS_ALLOC_FAILED
    | std::bad_alloc | (?:Failed|failed)\ to\ allocate\ memory         # C++, ITK
    | (?:\(os\ error\ |Os\ \{\ code:\ |\berrno:?\ )(?P<number>\d+)       # Rust, Arrow
    """,
    re.VERBOSE,
)
_NUMBERS: Final = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ENOMEM,
        errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM, errno.ENODEV, errno.ESTALE,
    }
)  # fmt: skip


def require_own_fault(error: BaseException, who: str, store: Path) -> str:
    """Return why a plug-in failed, on one line.

    Args:
        error: What it raised.
        who: It, as messages call it.
        store: Folder of the run's results. A file that is missing there was taken away.

    Raises:
        CamzooError: The machine is at fault: ``error`` itself where it says so already.
    """
    found = _of_machine(error, store)
    if found is None:
        return reason(error)
    if isinstance(error, CamzooError):
        raise error
    raise MachineError(
        f"{who} was stopped by the machine: {reason(found)}; what is finished stays: "
        f"{_advice(found)} and give the same command again"
    ) from error


def _of_machine(error: BaseException, store: Path) -> BaseException | None:
    """The error among ``error`` and those that led to it that the machine is to blame for."""
    return next((found for found in _led_to(error) if _blames_machine(found, store)), None)


def _blames_machine(error: BaseException, store: Path) -> bool:
    if isinstance(error, MachineError | DamagedError | MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, _WRONG_PLACE):
        return any(_is_below(name, store) for name in (error.filename, error.filename2))
    if isinstance(error, OSError):
        return True
    said = _SAID.search(_message(error)) if isinstance(error, Exception) else None
    if said is None:
        return False
    return said["number"] is None or int(said["number"]) in _NUMBERS


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        return ""
    if any(os.strerror(number) in text for number in (errno.ENOSPC, errno.ENOMEM, errno.EDQUOT)):
        return f"{text} (os error {errno.ENOSPC})"
    return text


def _led_to(error: BaseException) -> Iterator[BaseException]:
    """``error``, and what it was raised from or while handling."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        context = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or context


def _is_below(name: object, folder: Path) -> bool:
    if not isinstance(name, str | os.PathLike):
        return False
    return Path(name).absolute().is_relative_to(folder.absolute())


def _advice(error: BaseException) -> str:
    if isinstance(error, OSError):
        return "mend that (space on the disk, permissions, the network)"
    return "free memory, or ask for smaller batches,"
