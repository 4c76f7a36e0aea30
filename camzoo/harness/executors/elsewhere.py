"""Whether other processes have what a run names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from camzoo.config import BenchConfig
from camzoo.core.errors import ConfigError
from camzoo.core.registry import Registry
from camzoo.harness.plugins import find_class
from camzoo.harness.tasks import Task
from camzoo.registries import baselines, cams, datasets, metrics, steps
from camzoo.segment.selection import parse_baseline
from camzoo.steps.chain import parse_chain


def require_elsewhere(tasks: Sequence[Task]) -> None:
    """Refuse what a worker would not find: classes that this program registered by itself, a GPU.

    Raises:
        ConfigError: There is one.
    """
    for config in {id(task.config): task.config for task in tasks}.values():
        if config.device.startswith("cuda:"):
            raise ConfigError(
                f"device {config.device!r} asked for, but workers share out the GPUs by "
                "themselves: ask for cuda, and say by CUDA_VISIBLE_DEVICES which there are"
            )
        placed = [find_class(place) for place in config.plugins]
        for registry, name in _named(config):
            if not registry.package(name) and registry.get(name) not in placed:
                raise ConfigError(
                    f"the {registry.kind} {name!r} is known to this program alone, and workers are "
                    "programs of their own: name it by its place (my_file.py:MyClass, or in the "
                    "setting plugins), or take one worker"
                )


def _named(config: BenchConfig) -> Iterator[tuple[Registry[Any], str]]:
    """What a run finds by name; metrics are found without being named."""
    yield datasets, config.data.name
    for chain in map(parse_chain, config.methods):
        if not chain.fault:
            yield cams, chain.head.name
            yield from ((steps, spec.name) for spec in chain.steps)
    yield from ((baselines, parse_baseline(text).name) for text in config.baselines)
    yield from ((metrics, name) for name in metrics)
