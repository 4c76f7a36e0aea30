"""What a result depends on: one rule of keys for all stages.

A key follows from what a stage declares and from nothing else: the settings it reads, the results
it reads, the code that makes it and the versions of the libraries that this code uses. So no
version is ever raised by hand, and a result that other code would make differently is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from camzoo.config import BenchConfig
from camzoo.core.leaves import flatten
from camzoo.harness.source import Written, code_of

Key = Mapping[str, Any]


@dataclass(frozen=True)
class Stage:
    """One kind of result.

    Attributes:
        name: Its folder in the store.
        worker: Makes a result; its module, and all that this imports, is the code of the stage.
        settings: Names of the settings that it reads, dotted; of a group, all that are in it.
        ignored: Settings within those groups that change nothing of the result, or that are in its
            key by another way.
        resumable: Whether the worker goes on from what an interrupted attempt left in its folder.
    """

    name: str
    worker: Callable[..., Any]
    settings: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    resumable: bool = False

    def key(
        self,
        config: BenchConfig,
        *,
        inputs: Mapping[str, str],
        given: Mapping[str, Any] | None = None,
        plugged: Sequence[Written] = (),
    ) -> Key:
        """Return the key of a result.

        Args:
            config: Configuration of the run.
            inputs: Digests of what the worker reads, by what they are to it.
            given: All else that it is told, as JSON: names, seeds, cases.
            plugged: Classes that the worker finds by their names, whose code counts as its own.
        """
        return {
            "settings": self.settings_of(config),
            "inputs": dict(inputs),
            "given": dict(given or {}),
            "code": code_of(self.worker, *plugged),
        }

    def settings_of(self, config: BenchConfig) -> dict[str, Any]:
        """Return the values of the settings that the stage reads, by their dotted names."""
        values = flatten(config.model_dump(mode="json"))
        return {
            name: value
            for name, value in values.items()
            if _among(name, self.settings) and not _among(name, self.ignored)
        }


@dataclass(frozen=True)
class Work:
    """How much there is to compute for a result, so that its time can be foretold from others'.

    Attributes:
        kind: Results of one kind take times in proportion to their amounts.
        amount: Pixels that go through a network, voxels that are compared, and the like.
    """

    kind: str
    amount: float


@dataclass(frozen=True)
class Request:
    """A result that a run needs.

    Attributes:
        stage: That makes it.
        key: What it depends on; None while that is not known, because a result in front of it,
            whose content counts, is still to be made.
        title: How people call it.
        work: What making it takes.
    """

    stage: Stage
    key: Key | None
    title: str
    work: Work


def _among(name: str, groups: Sequence[str]) -> bool:
    return any(name == group or name.startswith(f"{group}.") for group in groups)
