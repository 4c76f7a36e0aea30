"""How the command line ends: with an exit code and at most one line, whatever happened."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

from camzoo.core.console import make_console
from camzoo.core.errors import CamzooError
from camzoo.core.output import asked_for_json, write_json

#: Exit code of faults that the user can mend.
MENDABLE: Final = 2
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class StopError(BaseException):
    """The user or the system asks the program to stop; no ``except Exception`` sees it.

    Attributes:
        number: Number of the signal.
        advice: What a command has to say about going on.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.advice = ""


def run_to_the_end(command: Callable[[], object]) -> NoReturn:
    """Run a command and leave the process as it should be left.

    Faults that the user can mend end with exit code 2 and one line on standard error; with
    ``--json`` also as a document ``{"error": {"kind", "message"}, "exit_code"}`` on standard
    output. Ctrl-C ends with 130, SIGTERM with 143. What else is raised is a bug of camzoo and keeps
    its traceback.
    """
    _never_fail_on_letters()
    try:
        with _signals_as_errors():
            try:
                command()
            finally:
                _flush()
    except CamzooError as error:
        _leave(MENDABLE, str(error), type(error).__name__)
    except StopError as stop:
        text = f"stopped by {stop}" + (f"; {stop.advice}" if stop.advice else "")
        _leave(128 + stop.number, text, "Stopped")
    except BrokenPipeError:  # whoever read has seen enough
        _close_output()
        sys.exit(1)
    except OSError as error:
        place = error.filename or (_full_output() if error.errno else "")
        where = f"{place}: " if place else ""
        _leave(MENDABLE, f"{where}{error.strerror or error}", type(error).__name__)
    except (MemoryError, RuntimeError) as error:
        if not _is_lack_of_memory(error):
            raise
        said = next(iter(str(error).splitlines()), "")
        text = "memory is used up" + (f" ({said})" if said else "")
        _leave(MENDABLE, f"{text}; smaller batches or slices need less", "MemoryError")
    sys.exit(0)


def _is_lack_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Whether it is memory that lacks; torch says so in a RuntimeError."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def _leave(code: int, message: str, kind: str) -> NoReturn:
    with suppress(OSError):
        if asked_for_json():
            write_json({"error": {"kind": kind, "message": message}, "exit_code": code})
        make_console(stderr=True).print(
            f"camzoo: {message}", style="red", markup=False, highlight=False, soft_wrap=True
        )
    with suppress(OSError):
        _flush()
        sys.exit(code)
    _close_output()
    sys.exit(code)


def _close_output() -> None:
    """Keep Python from complaining once more, at its exit, of an output that is closed or full."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _full_output() -> str:
    """Name standard output if it is what takes no more, which the system's error does not say.

    Python has dropped what could not be written, so that another letter has to be tried.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.write("\n")
        _flush()
    except OSError:
        return "standard output"
    return ""


def _never_fail_on_letters() -> None:
    """Let a stream that has no such letter print a question mark, as in the POSIX locale."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@contextmanager
def _signals_as_errors() -> Iterator[None]:
    """Raise :class:`StopError` at the first signal; leave at once at the second."""

    def second(number: int, _frame: FrameType | None) -> None:
        os._exit(128 + number)  # stages leave nothing half-written, however they end

    def first(number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, second)
        raise StopError(number)

    before = {number: signal.signal(number, first) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
