"""What the processes of a grid tell one another, and whoever asks: a folder per run, below ``out``.

The store holds results and nothing else. Two things that it cannot tell are kept here: what the
machine that began a run chose for it (device, threads, precision), so that others make and look for
the same results; and why a cell, or a method in it, has none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from pydantic import TypeAdapter

from camzoo.config import BenchConfig
from camzoo.core.errors import ConfigError, DamagedError
from camzoo.core.files import write_text
from camzoo.core.stored import read_json
from camzoo.harness.context import Place, places
from camzoo.harness.lease import Leases
from camzoo.harness.tasks import Done, settled

if TYPE_CHECKING:
    from camzoo.harness.executors.base import Executor

#: Folder among the runs.
NOTES: Final = "notes"
_CHOSEN: Final = "chosen.json"
_CHOICE: Final = TypeAdapter(dict[str, Any])
_DIGITS: Final = 16


class Notes:
    """The notes on a run.

    Args:
        config: Its configuration, as the grid has it.
        out: Folder of runs.
    """

    def __init__(self, config: BenchConfig, out: Path) -> None:
        digest = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:_DIGITS]
        self._config, self._folder = config, out / NOTES / digest

    def chosen(self) -> BenchConfig | None:
        """The configuration with what was chosen for it; None while no machine has begun."""
        try:
            return self._config.changed(read_json(self._folder / _CHOSEN, _CHOICE))
        except (OSError, DamagedError, ConfigError):
            return None

    def choose(self, executor: Executor | None = None, *, anew: bool = False) -> BenchConfig:
        """Return the configuration with what was chosen; where nobody has, this machine does.

        Args:
            executor: Who has the tasks performed, which shares threads out; None is one process.
            anew: Whether this machine chooses in any case.

        Raises:
            ConfigError: This machine has no such device.
        """
        with self.locked():
            there = None if anew else self.chosen()
            if there is not None:
                return there
            config = settled(executor.with_threads(self._config) if executor else self._config)
            chosen = {
                "device": config.device,
                "threads": config.threads or torch.get_num_threads(),
                "training.precision": config.training.precision,
                "segmentation.precision": config.segmentation.precision,
            }
            write_text(self._folder / _CHOSEN, json.dumps(chosen, indent=1) + "\n")
            return self._config.changed(chosen)

    def forget_choice(self) -> None:
        """Let the next machine choose."""
        (self._folder / _CHOSEN).unlink(missing_ok=True)

    def keep(self, place: Place, done: Sequence[Done]) -> None:
        """Write down which tasks of a cell lack something; what stood there goes."""
        path = self._path(place)
        lacking = [each for each in done if each.fault or each.failures]
        if not lacking:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "".join(f"{each.to_json()}\n" for each in lacking))

    def of(self, place: Place) -> list[Done]:
        """What tasks of a cell lack, as far as anybody has written it down."""
        try:
            lines = self._path(place).read_text("utf-8").splitlines()
            return [Done.from_json(line) for line in lines]
        except (OSError, ValueError):
            return []

    def failed(self) -> Mapping[str, Done]:
        """Tasks of which methods failed, by name; those are not tried again."""
        everyone = (done for place in places(self._config) for done in self.of(place))
        return {done.name: done for done in everyone if not done.fault}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from choosing for the run, or putting its rows together."""
        with Leases() as leases:
            leases.take(self._folder / "lease")
            yield

    def _path(self, place: Place) -> Path:
        return self._folder / f"fold-{place.fold}-seed-{place.seed}.jsonl"
