"""Where the command line prints: as wide as the terminal, and never cut where there is none."""

from __future__ import annotations

import os
import sys
from typing import Final

from rich.console import Console

#: Wider than any table. A file or a pipe has no width, and `grep` wants a row on one line.
_UNBOUNDED: Final = 10_000


def make_console(*, stderr: bool = False) -> Console:
    """Return a console for standard output or standard error.

    The variable COLUMNS sets its width everywhere.
    """
    stream = sys.stderr if stderr else sys.stdout
    if stream is not None and stream.isatty():
        return Console(stderr=stderr)
    width = None if os.environ.get("COLUMNS", "").isdecimal() else _UNBOUNDED
    return Console(stderr=stderr, width=width, soft_wrap=True)
