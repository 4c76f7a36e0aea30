"""One registry for everything that can be plugged in: CAM methods, steps, data sets, and so on.

A name is known from where it is written down: from ``@register_…("name")`` in the source of
camzoo's own modules, and from the entry points of installed packages. So there is no list to edit,
and names, papers and settings are read without importing anything. A class is imported when it is
used, and a package that is broken breaks its own names and no others.
"""

from __future__ import annotations

import fnmatch
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import reduce
from importlib.metadata import EntryPoint, distributions, entry_points
from threading import RLock
from typing import Any, Final, Generic, TypeVar, cast

from camzoo.core.errors import ConfigError
from camzoo.core.outline import (
    ClassOutline,
    NotThereError,
    UnreadableError,
    first_line,
    outline_class,
)
from camzoo.core.plugin_import import import_object, one_line, said
from camzoo.core.suggest import unknown

T = TypeVar("T", bound=type[Any])
C = TypeVar("C", bound=type[Any])

#: The distribution that this is.
_OWN: Final = "camzoo"
#: What can be written after ``--methods`` and the like, and stand in a file's name.
_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_+.-]*[A-Za-z0-9_+])?(?::[A-Za-z0-9_]+)?")


@dataclass(frozen=True)
class Description:
    """What a plug-in says of itself.

    Attributes:
        summary: First line of its docstring.
        facts: The class attributes that its registry asks for, as text and truth values.
        settings: Arguments of its constructor with their defaults.
        fault: Why there is nothing to say, or an empty string.
    """

    summary: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True)
class Place:
    """Where a class is that has not been imported yet.

    Attributes:
        where: ``module:Class``.
        by: The distribution that brings it.
        description: Description of a class that no source shows.
    """

    where: str
    by: str
    description: Description | None = None


#: Gives names that are there without any entry point.
Source = Callable[[], Iterable[tuple[str, Place]]]


class Registry(Generic[T]):
    """Names for classes of one kind.

    Args:
        kind: What the entries are, in the singular, as messages call it ("CAM method").
        group: Entry-point group through which installed packages add entries.
        base: Class that all entries derive from, as ``module:Class``.
        facts: Class attributes that :meth:`describe` reports ("paper", "facts.title").
        typed: Whether they have to be of the type that the base class has them in. A run reads
            facts at its end, too, where one wrong word would take all results with it.
        sources: Sources of built-in names; asked once, when the first name is asked for.

    Example:
        >>> shapes = Registry[type]("shape", group="example.shapes")
        >>> @shapes.register("square")
        ... class Square: ...
        >>> shapes.names("sq*")
        ['square']
    """

    def __init__(
        self,
        kind: str,
        group: str,
        *,
        base: str = "builtins:object",
        facts: Sequence[str] = (),
        typed: bool = False,
        sources: Sequence[Source] = (),
    ) -> None:
        self.kind = kind
        self.group = group
        self.base = base
        self._facts = tuple(facts)
        self._typed = typed
        self._sources = tuple(sources)
        self._targets: dict[str, T | Place] = {}
        self._origins: dict[str, Place] = {}
        self._faults: dict[str, ConfigError] = {}
        self._refused: list[str] = []
        self._scanned = False
        self._lock = RLock()

    def register(self, name: str) -> Callable[[C], C]:
        """Class decorator that registers a class as ``name`` and tells it that name.

        Raises:
            ConfigError: The name is taken by another class or is no name, or what is decorated is
                no class of this registry's kind.
        """

        def decorate(cls: C) -> C:
            self._require_kind(cls)
            self._add(name, cast("T", cls))
            cls.name = name
            return cls

        return decorate

    @contextmanager
    def temporary(self, entries: Mapping[str, T | Place] | None = None) -> Iterator[None]:
        """Register classes or places, and forget them at the end with all that is added within.

        A class is taken as it is: it keeps the name that it has.

        Raises:
            ConfigError: A name is taken, or something is no class of this registry's kind.
        """
        self._scan()
        state: tuple[dict[str, Any], ...] = (self._targets, self._origins, self._faults)
        before = [dict(part) for part in state]
        try:
            for name, entry in (entries or {}).items():
                if not isinstance(entry, Place):
                    self._require_kind(entry)
                self._add(name, entry)
            yield
        finally:
            with self._lock:
                for part, as_it_was in zip(state, before, strict=True):
                    _put_back(part, as_it_was)

    def require(self, name: str) -> None:
        """Refuse a name that is not there; nothing is imported.

        Raises:
            UnknownNameError: The message lists the nearest names.
        """
        if name not in self:
            raise unknown(self.kind, name, self.names())

    def get(self, name: str) -> T:
        """Return the class called ``name``, importing it on first use.

        Raises:
            UnknownNameError: No such name; the message lists the nearest ones.
            ConfigError: The class cannot be imported, or is none of this registry's kind.
        """
        self.require(name)
        with self._lock:
            target = self._targets[name]
            if isinstance(target, Place):
                target = self._load(name, target)
                self._targets[name] = target
            return target

    def names(self, pattern: str = "*") -> list[str]:
        """Return the sorted names that match a shell-style ``pattern``."""
        self._scan()
        return sorted(fnmatch.filter(self._targets, pattern))

    def refused(self) -> tuple[str, ...]:
        """Say which entries of installed packages were not taken, and why, a line each."""
        self._scan()
        return tuple(self._refused)

    def describe(self, name: str) -> Description:
        """Return what a plug-in says of itself: read from its source, or imported where need be.

        A plug-in that cannot be had is described by its fault. Nothing is raised for it.

        Raises:
            UnknownNameError: No such name.
        """
        self.require(name)
        if name in self._faults:
            return Description(fault=str(self._faults[name]))
        try:
            return self._read_or_given(name)
        except NotThereError as error:
            return Description(fault=self._fault(name, self._origins[name], str(error)))
        except UnreadableError:
            return self.imported(name)
        except ConfigError as error:
            return Description(fault=self._fault(name, self._origins[name], str(error)))

    def imported(self, name: str) -> Description:
        """Return what a plug-in says of itself once it is imported; its fault where it cannot be.

        Raises:
            UnknownNameError: No such name.
        """
        self.require(name)
        try:
            cls = self.get(name)
            facts = {path: _plain(reduce(getattr, path.split("."), cls)) for path in self._facts}
            return Description(first_line(cls.__doc__), facts, defaults(cls))
        except ConfigError as error:
            return Description(fault=str(error))
        except Exception as error:  # a descriptor or a metaclass may run any code
            return Description(fault=f"the {self.kind} {name!r} cannot be described: {said(error)}")

    def package(self, name: str) -> str:
        """Return the distribution that brings a name; "" for what this program registered itself.

        Raises:
            UnknownNameError: No such name.
        """
        self.require(name)
        return self._origins[name].by if name in self._origins else ""

    def place(self, name: str) -> str:
        """Return where the class called ``name`` is, as ``module:Class``; nothing is imported.

        Raises:
            UnknownNameError: No such name.
        """
        self.require(name)
        return _where(self._targets[name])

    def __contains__(self, name: object) -> bool:
        self._scan()
        return name in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _add(self, name: str, target: T | Place) -> None:
        self._scan()
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{one_line(name)!r} is no name for a {self.kind}; a name is made of letters, "
                "digits and the marks - _ + . (as grad-cam++)"
            )
        with self._lock:
            known = self._targets.get(name)
            if known is not None and _where(known) != _where(target):
                raise ConfigError(
                    f"the {self.kind} name {name!r} is taken by {self._whose(name, known)}; "
                    f"{self._whose(name, target)} needs another name"
                )
            # A place may give way to the very class that it stands for, never the reverse.
            if known is None or isinstance(known, Place):
                self._targets[name] = target
            if isinstance(target, Place):
                self._origins.setdefault(name, target)

    def _whose(self, name: str, target: T | Place) -> str:
        place = target if isinstance(target, Place) else None
        if place is None and self._targets.get(name) is target:
            place = self._origins.get(name)
        where = one_line(_where(target))
        return f"{where} of {place.by}" if place else where

    def _scan(self) -> None:
        """Find the built-in names and the entry points of installed packages, once."""
        with self._lock:
            if self._scanned:
                return
            self._scanned = True
            for source in self._sources:
                for name, place in source():
                    self._add(name, place)
            points, self._refused = _entry_points(self.group)
            points.sort(key=lambda pair: pair[1] != _OWN)  # nobody takes a name of camzoo's own
            for point, by in points:
                try:
                    self._add(point.name, Place(_bare(point.value), by))
                except ConfigError as error:
                    self._refused.append(str(error))

    def _read_or_given(self, name: str) -> Description:
        """Describe a class from its source.

        Raises:
            UnreadableError: It has to be imported.
            ConfigError: It is none of this registry's kind.
        """
        place = self._origins.get(name)
        if place is None:
            raise UnreadableError(f"{name} was registered by the program itself")
        if place.description:
            return place.description
        outline = outline_class(place.where)
        if all(parent.place != self.base for parent in outline.lineage):
            raise ConfigError(f"{place.where} is no subclass of {self._base_name}")
        facts = {path: _plain(outline.value(path)) for path in self._facts}
        return Description(outline.summary, facts, outline.settings())

    def _load(self, name: str, place: Place) -> T:
        if name in self._faults:
            raise self._faults[name]
        before = dict(self._targets)
        try:
            found = import_object(place.where)
            self._require_kind(found)
            cls = cast("T", found)
            _tell_name(cls, name)
        except Exception as error:  # a metaclass may run any code
            _put_back(self._targets, before)  # without what its modules registered, then failed
            why = str(error) if isinstance(error, ConfigError) else said(error)
            self._faults[name] = ConfigError(self._fault(name, place, why))
            raise self._faults[name] from error
        return cls

    def _fault(self, name: str, place: Place, why: str) -> str:
        where = f"{one_line(place.where)!r} of {place.by}"
        return f"the {self.kind} {name!r} cannot be loaded from {where}: {one_line(why)}"

    def _require_kind(self, found: object) -> None:
        """Refuse what is no class of this registry's kind, or one that nobody can construct."""
        base = cast("type", import_object(self.base))
        if not (isinstance(found, type) and issubclass(found, base)):
            what = f"class {_where(found)}" if isinstance(found, type) else type(found).__name__
            raise ConfigError(f"expected a subclass of {self._base_name}, got {one_line(what)}")
        missing = sorted(getattr(found, "__abstractmethods__", ()))
        if missing:
            raise ConfigError(f"{_where(found)} has no {', '.join(missing)}()")
        for fact in self._facts if self._typed else ():
            _require_fact(base, found, fact)

    @property
    def _base_name(self) -> str:
        return self.base.replace(":", ".")


def _require_fact(base: type, found: type, fact: str) -> None:
    """Refuse a fact of another type than the base class has it, unless it is computed."""
    wanted, told = (inspect.getattr_static(kind, fact, None) for kind in (base, found))
    if isinstance(told, type(wanted)) or hasattr(type(told), "__get__"):
        return
    kind = type(wanted)
    names = ", ".join(map(str, kind)) if issubclass(kind, Enum) else ""
    takes = kind.__name__ + f" ({names})" * bool(names)
    raise ConfigError(f"{_where(found)} says {fact} = {one_line(repr(told))}, expected {takes}")


def defaults(kind: Callable[..., object]) -> dict[str, Any]:
    """Return the settings of a class with the values they have unless told."""
    parameters = inspect.signature(kind).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def built_in(package: str, decorator: str) -> Source:
    """Names that the modules below one of camzoo's packages register by ``@decorator("name")``."""

    def read() -> Iterator[tuple[str, Place]]:
        from camzoo.core.outline import registered_classes

        for name, outline in registered_classes(package, decorator):
            yield name, Place(outline.place, package.partition(".")[0])

    return read


def describe_class(
    outline: ClassOutline, facts: Sequence[str], changed: Mapping[str, Any], summary: str
) -> Description:
    """Describe a class that is made from another one when the program runs.

    Args:
        outline: What the source of the other one says.
        facts: Facts, as the registry asks for them.
        changed: Those that the made class has for itself.
        summary: First line of its docstring.

    Raises:
        UnreadableError: The other class does not say one of the facts in so many words.
    """
    told = {
        path: _plain(changed[path] if path in changed else outline.value(path)) for path in facts
    }
    return Description(summary, told, outline.settings())


def _entry_points(group: str) -> tuple[list[tuple[EntryPoint, str]], list[str]]:
    """Entry points with the distributions that have them; and what is wrong with distributions."""
    try:
        found = [(point, _brings(point)) for point in entry_points(group=group)]
    except Exception:  # one damaged file ends the reading of all
        return _entry_points_one_by_one(group)
    return found, []


def _entry_points_one_by_one(group: str) -> tuple[list[tuple[EntryPoint, str]], list[str]]:
    found: dict[str, list[tuple[EntryPoint, str]]] = {}
    wrong = []
    for distribution in distributions():
        where = one_line(str(getattr(distribution, "_path", "an installed package")))
        try:
            name = distribution.metadata["Name"] or where
            points = [p for p in distribution.entry_points if p.group == group]
        except Exception as error:
            wrong.append(f"the entry points of {where} cannot be read: {said(error)}")
        else:  # the first of a name is the one that Python imports
            found.setdefault(name, [(point, one_line(name)) for point in points])
    return [point for points in found.values() for point in points], wrong


def _put_back(changed: dict[str, Any], before: Mapping[str, Any]) -> None:
    changed.clear()
    changed.update(before)


def _brings(point: EntryPoint) -> str:
    return one_line((point.dist.name if point.dist else None) or "an installed package")


def _bare(value: str) -> str:
    """An entry point's value without the extras that may stand behind it."""
    return value.partition("[")[0].replace(" ", "")


def _tell_name(cls: Any, name: str) -> None:
    """Give a class that only an entry point registers the name that it has there."""
    if "name" not in vars(cls):
        cls.name = name
    elif cls.name != name:
        raise ConfigError(f"it calls itself {cls.name!r}; the two names must be the same")


def _where(target: object) -> str:
    if isinstance(target, Place):
        return target.where
    module = getattr(target, "__module__", "?")
    return f"{module}:{getattr(target, '__qualname__', repr(target))}"


def _plain(value: object) -> str | bool:
    """What is printed of a class attribute."""
    if isinstance(value, Enum):
        value = value.value
    return value if isinstance(value, bool) else one_line(str(value or ""))
