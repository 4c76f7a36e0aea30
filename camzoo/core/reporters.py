"""Who is told about progress: a bar on a terminal, lines in a log."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from camzoo.core.progress import Pace, Tick, duration

#: A stage shorter than this shows no bar.
SHOW_AFTER_SECONDS: Final = 2.0
#: A log is never silent for longer than this.
LINE_EVERY_SECONDS: Final = 30.0
#: How often a watched reporter looks at the clock.
_LOOK_EVERY_SECONDS: Final = 0.5

Clock = Callable[[], float]


class WatchedReporter(ABC):
    """A reporter with an eye on the clock: it also speaks while nothing ticks.

    Args:
        console: Where to speak.
        verbose: Whether details are said.
        clock: Gives seconds.
    """

    def __init__(
        self, console: Console, *, verbose: bool = False, clock: Clock = time.monotonic
    ) -> None:
        self._console, self._verbose, self._clock = console, verbose, clock
        self._paces: list[Pace] = []
        self._lock = threading.RLock()

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:
        """Follow a stage, and say how long it took."""
        pace = Pace(title, self._clock())

        def tick(done: int, total: int) -> None:
            with self._lock:
                pace.step(done, total, self._clock())
            self.beat()

        with self._lock:
            self._paces.append(pace)
        try:
            yield tick
        finally:
            with self._lock:
                self._paces.remove(pace)
                self._closed(pace)
        self.note(f"{title}: {duration(self._clock() - pace.began)}")

    def note(self, text: str) -> None:
        """Print one line."""
        with self._lock:
            self._console.print(text, highlight=False, markup=False)

    def detail(self, text: str) -> None:
        """Print one line if details were asked for."""
        if self._verbose:
            self.note(text)

    @abstractmethod
    def beat(self) -> None:
        """Look at the clock and speak if it is time to."""

    def _closed(self, pace: Pace) -> None:  # noqa: B027 - a log has nothing to take away
        """Take away what was shown of a stage."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at the clock in the background while the body runs."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(_LOOK_EVERY_SECONDS):
                self.beat()

        thread = threading.Thread(target=look, name="camzoo-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


class LogReporter(WatchedReporter):
    """Lines for a file or a pipe: one per stage, and one whenever half a minute was silent."""

    def __init__(
        self, console: Console, *, verbose: bool = False, clock: Clock = time.monotonic
    ) -> None:
        super().__init__(console, verbose=verbose, clock=clock)
        self._began = self._spoke = clock()

    def note(self, text: str) -> None:
        """Print one line, at once: what reads a log waits for no buffer."""
        with self._lock:
            self._spoke = self._clock()
            super().note(text)
            self._console.file.flush()

    def beat(self) -> None:
        """Say how far the open stage is if nothing was said for a while."""
        with self._lock:
            now = self._clock()
            if now - self._spoke < LINE_EVERY_SECONDS:
                return
            between = f"still at work, {duration(now - self._began)} so far"
            self.note(self._paces[-1].line(now) if self._paces else between)


class BarReporter(WatchedReporter):
    """A bar with the time left for a stage that takes a while, on a terminal."""

    def __init__(
        self, console: Console, *, verbose: bool = False, clock: Clock = time.monotonic
    ) -> None:
        super().__init__(console, verbose=verbose, clock=clock)
        self._bar: Progress | None = None
        self._shown: Pace | None = None

    def beat(self) -> None:
        """Start or move the bar of the open stage."""
        with self._lock:
            pace = self._paces[-1] if self._paces else None
            if pace is None or self._clock() - pace.began < SHOW_AFTER_SECONDS:
                return
            if pace is not self._shown:
                self._stop()
                self._bar, self._shown = self._new_bar(pace), pace
                self._bar.start()
            if self._bar is not None:
                self._bar.update(
                    self._bar.task_ids[0], completed=pace.done, total=pace.total or None
                )

    def _closed(self, pace: Pace) -> None:
        if pace is self._shown:
            self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._shown = None

    def _new_bar(self, pace: Pace) -> Progress:
        one_line = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        bar = Progress(
            TextColumn("{task.description}", markup=False, table_column=one_line),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            expand=True,
            get_time=self._clock,
        )
        bar.add_task(pace.title, total=None)
        bar.tasks[0].start_time = pace.began
        return bar


def reporter_for(console: Console, *, verbose: bool = False) -> WatchedReporter:
    """Choose the reporter that suits where ``console`` writes to."""
    moving = console.is_terminal and not console.is_dumb_terminal
    return (BarReporter if moving else LogReporter)(console, verbose=verbose)
