"""Conformance kits: named checks of somebody's plug-in, each of which passes or says why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from camzoo.core.text import reason

T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """Outcome of one check.

    Attributes:
        name: What was checked.
        passed: Whether it holds.
        message: What was expected and what came, if not.
    """

    name: str
    passed: bool
    message: str = ""


class BrokenError(Exception):
    """A check does not hold; the message says what was expected and what came."""


def run_checks(checks: Mapping[str, Callable[[T], None]], subject: T) -> list[Result]:
    """Run all checks on ``subject``; one that raises fails, and the others are still run."""
    return [_run(name, check, subject) for name, check in checks.items()]


def _run(name: str, check: Callable[[T], None], subject: T) -> Result:
    try:
        check(subject)
    except BrokenError as broken:
        return Result(name, passed=False, message=str(broken))
    except (Exception, SystemExit) as error:  # what is under test may raise anything
        return Result(name, passed=False, message=f"raised {reason(error)}")
    return Result(name, passed=True)
