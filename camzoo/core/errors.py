"""Faults that a user can mend.

Everything that derives from :class:`CamzooError` is printed by the command line as one message,
without a traceback, with exit code 2. A message says what was expected, what came, in which file
or case, and what to do. Anything else that is raised is a bug of camzoo and keeps its traceback.
"""

from __future__ import annotations

from camzoo.core.text import visible


class CamzooError(Exception):
    """Base of all faults that the user can mend."""

    def __str__(self) -> str:
        return visible(super().__str__())  # names and values in it come from files of others


class ConfigError(CamzooError):
    """A setting, a name or a combination of settings is wrong."""


class UnknownNameError(ConfigError):
    """A name is not in the registry it was looked up in."""


class DataError(CamzooError):
    """A file or a case of a data set cannot be used."""


class DamagedError(DataError):
    """A file that camzoo wrote itself is no longer what was written. No method is at fault."""


class GeometryError(DataError):
    """Two volumes that must share a grid do not."""


class SplitError(CamzooError):
    """A split is impossible or leaks a patient from one subset into another."""


class FirewallError(CamzooError):
    """Code asked for masks that its declared supervision does not allow it to see."""


class MachineError(CamzooError):
    """The machine has no more to give: memory, disk, a device. No method is at fault.

    It ends a run. What is finished stays, and the same command goes on from there.
    """


class StorageError(MachineError):
    """A folder cannot be written or read back."""
