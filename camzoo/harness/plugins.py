"""One's own class in a file, before it is a package: named by its place, as ``my_cams:EnergyCam``.

A place is ``module:Class``, where the module is importable from the current folder or PYTHONPATH,
or ``path/to/file.py:Class``. The same grammar serves ``camzoo check``, ``--methods``,
``--baselines`` and the setting ``plugins``. A class is known afterwards by the name that it was
registered under, else by its attribute ``name``, else by its own name with hyphens.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from camzoo.core.errors import ConfigError
from camzoo.core.registry import Registry
from camzoo.core.spec import split_names

_PLACE: Final = re.compile(r"(?P<place>(?:.+\.py|[A-Za-z_][\w.]*):[A-Za-z_]\w*)(?P<rest>[\[:].*)?")

_EXPECTED: Final = (
    "give module:Class of a module in the current folder or on PYTHONPATH, path/to/file.py:Class, "
    "or a name of camzoo list cams or camzoo list baselines"
)


def load_plugins(places: Sequence[str]) -> None:
    """Register the classes at ``places``.

    Raises:
        ConfigError: There is none, or its name is taken.
    """
    for place in places:
        register_place(place)


def with_plugins(text: str, registry: Registry[Any]) -> tuple[str, tuple[str, ...]]:
    """Register what a list of names holds by its place.

    Args:
        text: Names separated by commas; each may have steps or settings behind it.
        registry: Registry that the names are looked up in; what it knows is no place.

    Returns:
        The list with names instead of places, and the places.

    Raises:
        ConfigError: Nothing can be had at a place.
    """
    names, places = [], []
    for part in split_names(text):
        found = _PLACE.fullmatch(part)
        if found is None or found["place"] in registry or part.partition(":")[0] in registry:
            names.append(part)
            continue
        names.append(register_place(found["place"]) + (found["rest"] or ""))
        places.append(found["place"])
    return ",".join(names), tuple(dict.fromkeys(places))


def register_place(place: str) -> str:
    """Make the class at ``place`` known to the whole program, and return its name.

    Raises:
        ConfigError: There is none, it is no plug-in, or its name is taken.
    """
    found = find_class(place)
    registry = _registry_of(found, place)
    own = vars(found).get("name")
    name = own if isinstance(own, str) and own else hyphenated(found.__name__)
    if name in registry and registry.get(name) is found:
        return name
    registry.register(name)(found)
    return name


def find_class(place: str) -> type:
    """Import the class at ``module:Class`` or ``path/to/file.py:Class``.

    Raises:
        ConfigError: There is none, or its module does not run.
    """
    where, _, name = place.rpartition(":")
    if not where or not name:
        raise ConfigError(f"nothing at {place!r}: {_EXPECTED}")
    try:
        module = _from_file(Path(where)) if where.endswith(".py") else _from_path(where)
    except (Exception, SystemExit) as error:  # a module may raise anything
        raise ConfigError(
            f"nothing at {place!r}: {type(error).__name__}: {error}; {_EXPECTED}"
        ) from error
    found = getattr(module, name, None)
    if found is not None and not isinstance(found, type):
        raise ConfigError(f"{place!r} is no class, but of type {type(found).__name__}")
    if found is None:
        classes = [n for n, v in vars(module).items() if _is_own_class(v, module)]
        there = f"there are {', '.join(classes)}" if classes else "there is none"
        raise ConfigError(f"nothing at {place!r}: {where} has no class {name!r}; {there}")
    return found


def hyphenated(name: str) -> str:
    """Write the name of a class as names of methods are written: EnergyCam is energy-cam."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def _registry_of(found: type, place: str) -> Registry[Any]:
    from camzoo.registries import REGISTRIES

    parents = {f"{parent.__module__}:{parent.__qualname__}" for parent in found.__mro__}
    for registry in REGISTRIES.values():
        if registry.base in parents:
            return registry
    kinds = ", ".join(registry.base.rpartition(":")[2] for registry in REGISTRIES.values())
    raise ConfigError(f"{place!r} is no subclass of {kinds}, of which a plug-in has to be one")


def _from_path(name: str) -> ModuleType:
    _search(Path.cwd())  # a console script has the folder of the script on its path, not this one
    importlib.invalidate_caches()
    return importlib.import_module(name)


def _from_file(path: Path) -> ModuleType:
    """Run a file as the module of its name, with its own folder importable."""
    path = path.resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    _search(path.parent)
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(path.stem)
    origin = spec.origin if spec else None
    if origin is None or Path(origin).resolve() != path:
        raise ImportError(f"{path.name} is called as another module ({origin}): rename the file")
    return importlib.import_module(path.stem)


def _search(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _is_own_class(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__
