"""Public names of a package that are imported on first use.

``import camzoo`` and ``import camzoo.metrics`` cost nothing, and yet every name is an attribute: of
the package, of ``dir()``, of tab completion. Type checkers read the imports that stand beside under
``TYPE_CHECKING``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

_HOMES: Final[dict[str, dict[str, str]]] = {}


def homes_of(package: str) -> Mapping[str, str]:
    """Return the modules that the public names of a package come from; {} for any other module."""
    return _HOMES.get(package, {})


def lazily(
    package: str, homes: Mapping[str, Sequence[str]], modules: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Args:
        package: Its ``__name__``.
        homes: From a module to the names that are in it.
        modules: From a public name to the module that it stands for.

    No name may be that of a module or package directly in ``package``: importing such a module
    would put it in the place of what the name stands for.
    """
    home_of = {name: module for module, names in homes.items() for name in names}
    modules = modules or {}
    _HOMES[package] = home_of | dict(modules)
    public = sorted(_HOMES[package])

    def get(name: str) -> Any:
        if name in home_of:
            found = getattr(import_module(home_of[name]), name)
        elif name in modules:
            found = import_module(modules[name])
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, found)
        return found

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *public})

    return get, listed, public
