"""A process that performs tasks: ``python -m camzoo.harness.perform_task [FILE.json]``.

With a file it performs the task that is in it. Without, tasks come in on standard input, one on
each line, and the process ends when that is closed, also in the middle of a task: whoever gave it
is gone. What it says goes to standard output, one JSON object on each line: ``{"note": text}``,
then ``{"done": ...}`` as :class:`camzoo.harness.tasks.Done`. What others print goes to standard
error.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from camzoo.core.allocator import keep_freed_memory
from camzoo.core.progress import Tick, duration, silent
from camzoo.harness.tasks import Task, perform


class _Answers:
    """Tells whoever gave the task.

    Args:
        file: Where answers go.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def say(self, answer: dict[str, Any]) -> None:
        self._file.write(f"{json.dumps(answer)}\n")
        self._file.flush()

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:
        """Say at its end how long a stage took."""
        began = time.monotonic()
        yield silent
        self.note(f"{title}: {duration(time.monotonic() - began)}")

    def note(self, text: str) -> None:
        """Say one line."""
        self.say({"note": text})

    def detail(self, text: str) -> None:
        """Say nothing of what only those hear who ask for more of everything."""


def main(arguments: Sequence[str]) -> None:
    """Perform what is in a file, or what comes in on standard input."""
    keep_freed_memory()
    answers = _Answers(_private_output())
    texts = map(_read, arguments) if arguments else _given()
    for text in texts:
        done = perform(Task.from_json(text), answers)
        answers.say({"done": asdict(done)})


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _private_output() -> IO[str]:
    """Take standard output for answers, and give everybody else standard error."""
    private = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return private


def _given() -> Iterator[str]:
    """Tasks from standard input, for as long as it is open."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield lines.get()


if __name__ == "__main__":
    main(sys.argv[1:])
