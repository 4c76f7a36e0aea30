"""What is on disk is looked at before it is opened: a pipe waits for ever, a folder has no bytes.

Every fault of the system is raised as one line that names the file.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from camzoo.core.errors import DataError

#: What a path may be besides a file, as messages call it.
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def named_faults(path: Path) -> Iterator[None]:
    """Raise what the system says about ``path`` as DataError.

    Raises:
        DataError: The system refuses to open or read the file, or memory does not hold it.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{error.filename or path} is missing; put it there") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{error.filename or path} cannot be read: {reason}") from error
    except MemoryError as error:
        raise DataError(f"{path} does not fit into the memory of this machine") from error


def require_file(path: Path) -> int:
    """Return the size of a file in bytes.

    Raises:
        DataError: Nothing is there, or something else than a file, or it cannot be looked at.
    """
    with named_faults(path):
        status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "no file")
        raise DataError(f"{path} is {kind}, expected a file")
    return status.st_size


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        DataError: As :func:`require_file`, or the system refuses to read it.
    """
    require_file(path)
    with named_faults(path):
        return path.read_bytes()


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without the byte-order mark that some editors write.

    Raises:
        DataError: As :func:`read_bytes`, or it holds other bytes than UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: {error}") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises:
        DataError: As :func:`read_text`, or it is no JSON, nested too deeply, or no object.
    """
    text = read_text(path)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}") from error
    except RecursionError as error:
        raise DataError(f"{path} is nested too deeply to be read") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a JSON object {{...}}, got {_called(value)}")
    return value


def _called(value: object) -> str:
    names = {list: "a list", str: "text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
