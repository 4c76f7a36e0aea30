"""What is read from a class statement is what Python makes of it; nothing is guessed."""

import importlib
import inspect
import itertools
import sys

import pytest

from camzoo.core.outline import (
    NotThereError,
    UnreadableError,
    first_line,
    outline_class,
    outline_module,
    registered_classes,
)
from camzoo.core.registry import defaults

_numbers = itertools.count()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Put modules of a fresh package into the path; return the package's name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def written(**modules):
        package = f"outlined{next(_numbers)}"
        for name, source in {"__init__": "", **modules}.items():
            file = tmp_path.joinpath(package, *name.split("__in__")).with_suffix(".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        return package

    return written


PLAIN = """
from __future__ import annotations
from abc import ABC
from typing import ClassVar, Generic, TypeVar
from .words import LONG as _LONG, Kind
from . import words

T = TypeVar("T")
_A, _B = 1, "two"
_NEGATIVE: float = -1.5

class Root(ABC, Generic[T]):
    '''The root.'''
    title: ClassVar[str] = "root"
    bare: ClassVar[str]
    kind = Kind.LARGE

class Left(Root[int]):
    title = _B
    def __init__(self, a, /, b=_A, *rest, c=_NEGATIVE, d=("x", _B), **more): ...

class Right(Root):
    title = "right"
    kind = "of its own"

class Both(Left, Right):
    '''
    First line.

    And more.
    '''
    text = _LONG
    flag = True
    nothing = None
    title = "once"
    title = "twice"
"""
WORDS = """
from enum import StrEnum
LONG = "a " \\
    "b"
class Kind(StrEnum):
    LARGE = "large"
"""


@pytest.mark.parametrize("name", ["Root", "Left", "Right", "Both"])
def test_values_are_those_of_the_imported_class(write, name):
    package = write(plain=PLAIN, words=WORDS)
    outline = outline_class(f"{package}.plain:{name}")
    assert package not in sys.modules
    cls = getattr(importlib.import_module(f"{package}.plain"), name)
    for attribute in {"title", "kind", "text", "flag", "nothing"} & set(dir(cls)):
        assert outline.value(attribute) == getattr(cls, attribute), attribute
    assert outline.settings() == defaults(cls)
    assert outline.summary == first_line(cls.__doc__)
    mro = [c for c in cls.__mro__ if c.__module__.startswith(package)]
    assert [o.node.name for o in outline.lineage] == [c.__name__ for c in mro]


def test_a_class_is_found_through_the_packages_that_hand_it_on(write):
    package = write(
        __init__="import typing as t\nif t.TYPE_CHECKING:\n    from .deep.inner import A",
        deep__in__inner="from .. import other as elsewhere\nclass A:\n    x = 3",
    )
    assert outline_class(f"{package}:A").place == f"{package}.deep.inner:A"
    assert package not in sys.modules


ODD = {
    "a condition": "if 1:\n    class A: x = 1",
    "two statements": "class A: x = 1\nclass A: x = 2",
    "a loop": "for A in []: pass\nclass A: x = 1",
    "a function": "def A(): pass",
    "an assignment": "A = type('A', (), {'x': 1})",
    "a star": "from os import *",
    "a metaclass": "class M(type): pass\nclass A(metaclass=M): x = 1",
    "arguments": "class B:\n    def __init_subclass__(cls, **k): cls.x = 2\nclass A(B): x = 1",
    "a decorator": "def d(c):\n    c.x = 2\n    return c\n@d\nclass A: x = 1",
    "a base made by a call": "class A(type('B', (), {})): x = 1",
    "a base with a dot": "import abc\nclass A(abc.ABC): x = 1",
    "a base nobody knows": "class A(Unknown): x = 1",
    "a body with a condition": "class A:\n    if 1:\n        x = 1",
    "a body with a loop": "class A:\n    for x in range(2): pass",
    "a change afterwards": "class A: x = 1\nA.x = 2",
    "a computed value": "class A: x = len('four')",
    "a property": "class A:\n    @property\n    def x(self): return 1",
    "a constant in two ways": "if 1:\n    N = 1\nelse:\n    N = 2\nclass A: x = N",
    "a constant that changes": "N = 1\nN += 1\nclass A: x = N",
    "an unpacked list": "class A: x, *y = [1, 2]",
    "circles": "from . import odd\nfrom .odd import A",
    "a constant of itself": "N = N\nclass A: x = N",
    "nothing": "",
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_not_plain_is_not_guessed(write, what):
    package = write(odd=ODD[what])
    with pytest.raises(UnreadableError):
        outline_class(f"{package}.odd:A").value("x")


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def __init__(self, x=len('a')): ...",
        "class A:\n    __init__ = None",
        "def d(f): return f\nclass A:\n    @d\n    def __init__(self): ...",
        "class A:\n    def __new__(cls, x=1): ...",
    ],
)
def test_settings_that_are_not_plain_are_not_guessed(write, source):
    package = write(odd=source)
    with pytest.raises(UnreadableError):
        outline_class(f"{package}.odd:A").settings()


def test_settings_without_defaults_are_marked_as_in_inspect(write):
    package = write(plain="class A:\n    def __init__(self, x, *, y): ...")
    empty = inspect.Parameter.empty
    assert outline_class(f"{package}.plain:A").settings() == {"x": empty, "y": empty}


@pytest.mark.parametrize("name", ["nowhere", "json.nowhere", "", ".", "json.", "sys.path"])
def test_modules_that_are_not_there(name):
    with pytest.raises(NotThereError, match="there is no module"):
        outline_module(name)


@pytest.mark.parametrize("source", ["def (", "x = 1\0", "\tx\n  y", "(" * 300])
def test_what_is_no_python(write, source):
    package = write(odd=source)
    with pytest.raises(UnreadableError):
        outline_module(f"{package}.odd")


def test_a_module_without_source_can_only_be_imported():
    with pytest.raises(UnreadableError, match="has no Python source"):
        outline_module("sys")


def test_classes_are_found_by_their_decorator_in_folders_without_init_too(write):
    package = write(
        first="from x import add\n@add('one')\nclass A: pass\n@add(name)\nclass B: pass",
        inner__in__second="import x\n@x.add('two')\nclass C: pass\nclass D: pass",
        third="text = '@add(' ",
    )
    found = {name: outline.place for name, outline in registered_classes(package, "add")}
    assert found == {"one": f"{package}.first:A", "two": f"{package}.inner.second:C"}
    assert package not in sys.modules
