"""One registry for everything that can be plugged in: CAM methods, data sets, baselines.

A name maps to an object, or to where the object lives (``"module:attribute"`` or an installed
entry point), which is imported only when the name is asked for. So listing stays fast, and a broken
third-party package breaks its own name and no other.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import inspect
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from threading import RLock
from typing import Any, Generic, TypeVar, cast

from camzoo.errors import ConfigError, UnknownNameError

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])


class Registry(Generic[T]):
    """Names for objects of one kind.

    Args:
        kind: What the entries are, in the singular, as messages call it ("CAM method").
        group: Entry-point group through which installed packages add entries.

    Example:
        >>> shapes = Registry[type]("shape", group="example.shapes")
        >>> @shapes.register("square")
        ... class Square: ...
        >>> shapes.names("sq*")
        ['square']
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self._targets: dict[str, T | str | EntryPoint] = {}
        self._scanned = False
        self._lock = RLock()

    def register(self, name: str, target: T | str | None = None) -> Callable[[T], T]:
        """Register ``target`` under ``name``, or act as a decorator when it is left out.

        Raises:
            ConfigError: The name is taken by another object.
        """
        if target is not None:
            self._add(name, target)

        def decorate(obj: T) -> T:
            if target is None:
                self._add(name, obj)
            return obj

        return decorate

    def named(self, name: str) -> Callable[[C], C]:
        """Class decorator that registers a class as ``name`` and tells it that name.

        Raises:
            ConfigError: The name is taken.
        """

        def decorate(cls: C) -> C:
            cls.name = name
            self.register(name, cast("T", cls))
            return cls

        return decorate

    def get(self, name: str) -> T:
        """Return the object called ``name``, importing it on first use.

        Raises:
            UnknownNameError: No such name; the message lists the nearest ones.
            ConfigError: The object cannot be imported.
        """
        self._scan()
        with self._lock:
            if name not in self._targets:
                raise UnknownNameError(self._unknown(name))
            target = self._targets[name]
            if isinstance(target, str | EntryPoint):
                target = self._load(name, target)
                self._targets[name] = target
            return target

    def names(self, pattern: str = "*") -> list[str]:
        """Return the sorted names that match a shell-style ``pattern``."""
        self._scan()
        return sorted(fnmatch.filter(self._targets, pattern))

    def origin(self, name: str) -> str:
        """Say where the object called ``name`` is defined, as ``module:line`` or ``module``."""
        obj = self.get(name)
        module = inspect.getmodule(obj)
        where = module.__name__ if module else "?"
        try:
            return f"{where}:{inspect.getsourcelines(cast('Callable[..., object]', obj))[1]}"
        except (OSError, TypeError):
            return where

    def __contains__(self, name: object) -> bool:
        self._scan()
        return name in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _add(self, name: str, target: T | str | EntryPoint) -> None:
        with self._lock:
            known = self._targets.get(name)
            if known is not None and not _same_place(known, target):
                raise ConfigError(
                    f"the {self.kind} name {name!r} is taken by {_describe(known)}; "
                    f"{_describe(target)} needs another name"
                )
            # A lazy target may be replaced by the very object it stands for, never the reverse.
            if known is None or isinstance(known, str | EntryPoint):
                self._targets[name] = target

    def _scan(self) -> None:
        """Add the entry points of installed packages, once."""
        with self._lock:
            if self._scanned:
                return
            self._scanned = True
            for point in entry_points(group=self.group):
                self._add(point.name, point)

    def _load(self, name: str, target: str | EntryPoint) -> T:
        place = target if isinstance(target, str) else target.value
        module, _, attribute = place.partition(":")
        try:
            obj = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"the {self.kind} {name!r} cannot be loaded from {place!r}: {error}"
            ) from error
        return cast("T", obj)

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._targets, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(self.names())}"
        return f"unknown {self.kind} {name!r}; {hint}"


def _place(target: object) -> str:
    if isinstance(target, str):
        return target
    if isinstance(target, EntryPoint):
        return target.value
    module = getattr(target, "__module__", "?")
    return f"{module}:{getattr(target, '__qualname__', repr(target))}"


def _same_place(known: object, target: object) -> bool:
    return known is target or _place(known) == _place(target)


def _describe(target: object) -> str:
    return _place(target)
