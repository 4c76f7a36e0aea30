"""What C++ libraries print past Python."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from camzoo.core.text import LONGEST, plain

#: The stderr of a process is one: only one thread at a time may turn it aside.
_TURNED_ASIDE: Final = Lock()


@contextmanager
def captured_stderr() -> Iterator[Callable[[], str]]:
    """Keep what is written to the process's stderr away from the terminal.

    Yields:
        A function that returns the beginning of what was written since, on one line.
    """
    with _TURNED_ASIDE, tempfile.TemporaryFile() as sink:
        if sys.stderr is not None:
            sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(sink.fileno(), 2)

        def said() -> str:
            sink.seek(0)
            return plain(sink.read().decode(errors="replace"), LONGEST)

        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
