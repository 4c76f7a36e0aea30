"""What a command says, how much of it, and in which form."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from camzoo.core.console import make_console
from camzoo.core.errors import ConfigError
from camzoo.core.progress import Quiet, Reporter

AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
]
BeQuiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say the result and errors alone.")]
BeVerbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on the way.")]


def asked_for_json() -> bool:
    """Whether the command line asks for JSON, for faults that are found before it is parsed."""
    return "--json" in sys.argv[1:]


@dataclass(frozen=True)
class Output:
    """Where and how a command speaks.

    With ``as_json`` standard output is one document, and progress goes to standard error.

    Attributes:
        as_json: One JSON document in the place of text.
        quiet: The result alone.
        verbose: Details, too.

    Raises:
        ConfigError: Quiet and verbose at once.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.quiet and self.verbose:
            raise ConfigError("--quiet and --verbose say the opposite: give one of them")

    @contextmanager
    def reporting(self) -> Iterator[Reporter]:
        """Give the reporter of long work, who watches the clock while the body runs."""
        if self.quiet:
            with self.apart():
                yield Quiet()
            return
        from camzoo.core.reporters import reporter_for

        console = make_console(stderr=self.as_json)
        reporter = reporter_for(console, verbose=self.verbose)
        with reporter.watching(), self.apart():
            yield reporter

    def apart(self) -> AbstractContextManager[object]:
        """Send what others print in the body to standard error, where a program reads the result.

        A plug-in may print, when it is imported and when it is asked for maps.
        """
        return redirect_stdout(sys.stderr) if self.as_json or self.quiet else nullcontext()

    def say(self, text: str, style: str | None = None) -> None:
        """Print a line that is beside the result: not when quiet, and not as JSON."""
        if not self.quiet:
            self.tell(text, style)

    def tell(self, text: str, style: str | None = None) -> None:
        """Print a line of the result, unless the result is JSON."""
        if not self.as_json:
            make_console().print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def show(self, *tables: RenderableType) -> None:
        """Print tables of the result, unless the result is JSON."""
        if not self.as_json:
            make_console().print(*tables, sep="\n")

    def document(self, result: Mapping[str, Any]) -> None:
        """Print the result as JSON, if that was asked for; numbers that are not finite as null."""
        if self.as_json:
            write_json(result)


def write_json(result: Mapping[str, Any]) -> None:
    """Print one JSON document."""
    text = json.dumps(_plain(result), indent=1, allow_nan=False)
    if sys.stdout is not None:
        sys.stdout.write(f"{text}\n")


def _plain(value: Any) -> Any:
    """Turn what tables are made of into what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "item"):  # numbers of numpy
        value = value.item()
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value if isinstance(value, bool | int | float | str | None) else str(value)
