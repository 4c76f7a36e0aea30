"""How long-running work says how far it is, without knowing who listens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

#: Called with (steps done, steps in all).
Tick = Callable[[int, int], None]

#: A stage shorter than this shows no bar.
SHOW_AFTER_SECONDS = 2.0


def silent(_done: int, _total: int) -> None:
    """Tell nobody."""


class Reporter(Protocol):
    """Who is told about stages."""

    def stage(self, title: str) -> AbstractContextManager[Tick]:
        """Open a stage; its body calls the tick."""

    def note(self, text: str) -> None:
        """Say one line."""


class Quiet:
    """A reporter that shows nothing."""

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:  # noqa: ARG002 - the protocol's name
        """Open a stage nobody sees."""
        yield silent

    def note(self, text: str) -> None:
        """Drop the line."""


class ConsoleReporter:
    """Bars with the time left on a terminal, a plain line per stage elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:
        """Show the stage once it has taken :data:`SHOW_AFTER_SECONDS`."""
        began = time.monotonic()
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        task = bar.add_task(title, total=None)

        def tick(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            late = time.monotonic() - began > SHOW_AFTER_SECONDS
            if late and self._console.is_terminal and not bar.live.is_started:
                bar.start()

        try:
            yield tick
        finally:
            if bar.live.is_started:
                bar.stop()
        self.note(f"{title}: {time.monotonic() - began:.1f} s")

    def note(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, highlight=False, markup=False)
