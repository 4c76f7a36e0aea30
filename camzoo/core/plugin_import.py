"""Importing somebody else's code: whatever it does on import, the rest of the program goes on."""

from __future__ import annotations

import importlib
import os
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import reduce
from typing import Any, Final

from camzoo.core.errors import ConfigError

_PLACE: Final = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")
_LONGEST: Final = 300
#: The package whose modules change nothing on import.
_OWN: Final = "camzoo"


def import_object(place: str) -> object:
    """Import the object at ``module:attribute``.

    What a third party's module changes in the process when it is imported is put back: torch's
    types, threads, modes and random state, those of NumPy and Python, and the working folder.

    Raises:
        ConfigError: It cannot be had; the message is the reason alone, on one line. Whatever the
            code raises ends like that, ``sys.exit`` included; only Ctrl-C and a machine without
            memory are no fault of the code, and pass.
    """
    if not _PLACE.fullmatch(place):
        raise ConfigError(f"expected module:Class, got {one_line(place)!r}")
    module, _, attribute = place.partition(":")
    try:
        if module.partition(".")[0] == _OWN:
            return _get(module, attribute)
        with state_put_back():
            return _get(module, attribute)
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        raise ConfigError(said(error)) from error


def said(error: BaseException) -> str:
    """Return the type of an error and what it says, as one line of plain text."""
    try:
        text = str(error)
    except Exception:  # its own code may fail, too
        text = "its message cannot be read"
    return one_line(f"{type(error).__name__}: {text}".removesuffix(": "))


def one_line(text: str) -> str:
    """Return text without line breaks and control characters, cut where it is very long."""
    words = " ".join(text.split())
    plain = "".join(mark if mark.isprintable() else "?" for mark in words)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"


@contextmanager
def state_put_back() -> Iterator[None]:
    """Leave the process as it was: types, threads, modes, random states and the working folder."""
    undo = [*_torch_state(), *_random_states()]
    with suppress(OSError):  # the folder may be gone
        folder = os.getcwd()  # noqa: PTH109 - a path object would not help
        undo.append(lambda: os.chdir(folder))
    try:
        yield
    finally:
        for put_back in undo:
            with suppress(Exception):
                put_back()


def _get(module: str, attribute: str) -> object:
    return reduce(getattr, attribute.split("."), importlib.import_module(module))


def _torch_state() -> Iterator[Callable[[], Any]]:
    """Ways back to torch's present state. Plug-ins need torch anyway, so it may be imported."""
    import torch

    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    threads, grad = torch.get_num_threads(), torch.is_grad_enabled()
    precision = torch.get_float32_matmul_precision()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    random_state = torch.get_rng_state()

    def device_back() -> None:
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)

    yield lambda: torch.set_default_dtype(dtype)
    yield device_back
    yield lambda: torch.set_num_threads(threads)
    yield lambda: torch.set_grad_enabled(grad)
    yield lambda: torch.set_float32_matmul_precision(precision)
    yield lambda: torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
    yield lambda: torch.set_rng_state(random_state)


def _random_states() -> Iterator[Callable[[], Any]]:
    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    yield lambda: random.setstate(python)
    yield lambda: np.random.set_state(numpy)  # noqa: NPY002
