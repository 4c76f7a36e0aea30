"""How long-running work says how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

#: Called with (steps done, steps in all).
Tick = Callable[[int, int], None]


def silent(_done: int, _total: int) -> None:
    """Tell nobody."""


class Reporter(Protocol):
    """Who is told about stages."""

    def stage(self, title: str) -> AbstractContextManager[Tick]:
        """Open a stage; its body calls the tick."""

    def note(self, text: str) -> None:
        """Say one line."""

    def detail(self, text: str) -> None:
        """Say one line to those who asked for more."""


class Quiet:
    """A reporter that shows nothing."""

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:  # noqa: ARG002 - the protocol's name
        """Open a stage nobody sees."""
        yield silent

    def note(self, text: str) -> None:
        """Drop the line."""

    def detail(self, text: str) -> None:
        """Drop the line."""


@dataclass
class Pace:
    """How far a stage is, and when it will be through.

    Attributes:
        title: Title of the stage.
        began: Second at which it began, on the clock of whoever asks.
        done: Steps done.
        total: Steps in all, 0 while that is not known.
    """

    title: str
    began: float
    done: int = 0
    total: int = 0
    _first: tuple[float, int] | None = None

    def step(self, done: int, total: int, now: float) -> None:
        """Take in a tick."""
        self.done, self.total = done, total
        if self._first is None:
            self._first = now, done

    def left(self, now: float) -> float | None:
        """Seconds left at the pace since the first tick; None while there is no telling.

        A stage that goes on from an earlier run starts in the middle, so its beginning says
        nothing of its pace.
        """
        if self._first is None or self.done <= self._first[1]:
            return None
        since, base = self._first
        return (now - since) / (self.done - base) * (self.total - self.done)

    def line(self, now: float) -> str:
        """One line: share done, time so far, time left."""
        parts = [f"{duration(now - self.began)} so far"]
        if self.total:
            parts.insert(0, f"{self.done / self.total:.0%} done")
        left = self.left(now)
        if left is not None:
            parts.append(f"about {duration(left)} left")
        return f"{self.title}: {', '.join(parts)}"


def duration(seconds: float) -> str:
    """Write a time as people say it: 8.1 s, 2 min 5 s, 3 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
