"""From what a user says to an executor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from camzoo.core.errors import ConfigError
from camzoo.core.spec import Spec, build, make_spec, split_settings
from camzoo.harness.plugins import with_plugins
from camzoo.registries import executors

if TYPE_CHECKING:
    from camzoo.harness.executors.base import Executor


def choose_executor(
    name: str | None = None, workers: int | None = None, address: str | None = None
) -> Executor | None:
    """Return who performs the tasks of a run; None where this process does it all.

    Args:
        name: Registered, or the place of a class; with settings behind it as in "ray:memory=8".
            "local" where only the number of workers is given.
        workers: How many tasks are performed at once. One local worker is this process.
        address: Address of a running cluster, for executors that take one.

    Raises:
        ConfigError: There is no such executor, or it takes no such setting.
    """
    if name is None and address is not None:
        raise ConfigError("an address is that of a cluster: give an executor, as ray, with it")
    if name is None and workers is None:
        return None
    name, told = split_settings(with_plugins(name or "local", executors)[0])
    given = {"workers": workers, "address": address}
    told |= {key: value for key, value in given.items() if value is not None}
    spec = make_spec(name, told, executors)
    if spec == Spec("local", (("workers", 1),)):
        return None
    performing: Executor = build(spec, executors)
    return performing
