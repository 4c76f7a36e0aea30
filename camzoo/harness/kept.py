"""What belongs to the whole process is as it was after a plug-in, whatever that did to it."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch


class _Switch(NamedTuple):
    """A setting of the process."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


def _cudnn(name: str) -> _Switch:
    backend = torch.backends.cudnn
    return _Switch(lambda: getattr(backend, name), lambda value: setattr(backend, name, value))


def _read_deterministic() -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


def _write_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _write_default_device(value: torch.device) -> None:
    # None, which means the CPU, also ends the mode that looks at every call of torch.
    torch.set_default_device(None if value.type == "cpu" else value)


def _read_folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was deleted, and is no place to go back to
        return None


def _write_folder(value: Path | None) -> None:
    if value is not None:
        os.chdir(value)


def _write_streams(value: tuple[Any, Any]) -> None:
    sys.stdout, sys.stderr = value


#: All that is put back. Each is read before a plug-in and written after it only where it changed.
SWITCHES: Final = {
    "default dtype": _Switch(torch.get_default_dtype, torch.set_default_dtype),
    "default device": _Switch(torch.get_default_device, _write_default_device),
    "threads": _Switch(torch.get_num_threads, torch.set_num_threads),
    "grad mode": _Switch(torch.is_grad_enabled, torch.set_grad_enabled),
    "deterministic algorithms": _Switch(_read_deterministic, _write_deterministic),
    "precision of matrix products": _Switch(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    ),
    "cudnn.benchmark": _cudnn("benchmark"),
    "cudnn.deterministic": _cudnn("deterministic"),
    "errors of numpy": _Switch(np.geterr, lambda value: np.seterr(**value)),
    "recursion limit": _Switch(sys.getrecursionlimit, sys.setrecursionlimit),
    "working folder": _Switch(_read_folder, _write_folder),
    "standard streams": _Switch(lambda: (sys.stdout, sys.stderr), _write_streams),
}


class Draws:
    """The states of the generators that all code shares: of Python, numpy and torch."""

    def __init__(self) -> None:
        self._python = random.getstate()
        self._numpy = np.random.get_state()  # noqa: NPY002 - what a plug-in may draw from
        self._torch = torch.get_rng_state()
        cuda = torch.cuda.is_initialized()
        self._cuda = torch.cuda.get_rng_state_all() if cuda else []

    def restore(self) -> None:
        """Draw from here on what would have been drawn."""
        random.setstate(self._python)
        np.random.set_state(self._numpy)  # noqa: NPY002
        torch.set_rng_state(self._torch)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)


class Kept:
    """Lets one plug-in work without a trace in the process, as often as it is asked.

    Its random draws go on from call to call as if it were alone: they start from ``seed``, and
    nobody else's draws move because of them.

    Args:
        seed: What the shared generators start from for this plug-in.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._draws: Draws | None = None

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Run the body apart; what it changed in the process is put back, also after an error."""
        draws, values = Draws(), {name: switch.read() for name, switch in SWITCHES.items()}
        if self._draws is None:
            _seed_all(self._seed)
        else:
            self._draws.restore()
        try:
            yield
        finally:
            for name, switch in SWITCHES.items():
                if switch.read() != values[name]:
                    switch.write(values[name])
            self._draws = Draws()
            draws.restore()


def _seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)
