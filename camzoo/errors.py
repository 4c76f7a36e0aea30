"""The faults that camzoo raises, for programs that catch them."""

from camzoo.core.errors import (
    CamzooError,
    ConfigError,
    DamagedError,
    DataError,
    FirewallError,
    GeometryError,
    MachineError,
    SplitError,
    StorageError,
    UnknownNameError,
)

__all__ = [
    "CamzooError",
    "ConfigError",
    "DamagedError",
    "DataError",
    "FirewallError",
    "GeometryError",
    "MachineError",
    "SplitError",
    "StorageError",
    "UnknownNameError",
]
