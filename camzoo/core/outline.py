"""What a class says of itself, read from its source without running any of it.

Importing a CAM method takes the seconds that torch and timm take, and runs whatever its package
does when it is imported. Names, papers and settings of plug-ins are plain values in their source,
and reading those takes milliseconds and runs nothing. What is no plain value is not guessed:
:class:`UnreadableError` says so, and the caller imports that one class instead.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, Final

#: Packages whose classes add nothing that is read here, and end the search through the bases.
_TERMINAL: Final = ("abc", "builtins", "typing", "typing_extensions")
#: Base classes that decide how a class is made; what its body says is then not the whole truth.
_MAKERS: Final = ("__init_subclass__", "__new__", "__signature__")
#: Longest way through imports and bases.
_DEEPEST: Final = 20


class UnreadableError(Exception):
    """The source does not say it in so many words; the message says why."""


class NotThereError(UnreadableError):
    """There is no such module, or its source is no Python: importing it would fail, too."""


@dataclass(frozen=True, eq=False)
class ModuleOutline:
    """A module's source.

    Attributes:
        name: Dotted.
        tree: Parsed.
        package: Dotted name that its relative imports start from.
    """

    name: str
    tree: ast.Module
    package: str

    def class_(self, name: str, depth: int = 0) -> ClassOutline:
        """Return the class that ``name`` stands for in the module, imported ones included.

        Raises:
            UnreadableError: It is no class, bound more than once, or not to be found.
        """
        if depth > _DEEPEST:
            raise UnreadableError(f"{name} is imported in a circle")
        bound = self.binding(name)
        if isinstance(bound, ast.ClassDef):
            return ClassOutline(self, bound)
        if isinstance(bound, ast.ImportFrom):
            return self.origin(bound).class_(_original(bound, name), depth + 1)
        raise UnreadableError(f"{self.name}.{name} is no class statement")

    def binding(self, name: str) -> ast.stmt:
        """Return the one statement that gives ``name`` its value.

        Raises:
            UnreadableError: None does, several do, or it depends on a condition.
        """
        found = self._bindings.get(name, [])
        if not found:
            raise UnreadableError(f"{self.name} does not say what {name} is")
        if len(found) > 1 or found[0] is None:
            raise UnreadableError(f"{self.name} says in several ways what {name} is")
        return found[0]

    def origin(self, statement: ast.ImportFrom) -> ModuleOutline:
        """Return the module that a ``from`` import reads."""
        parent = self.package.split(".")
        parts = parent[: len(parent) - statement.level + 1] if statement.level else []
        return outline_module(".".join([*parts, *filter(None, [statement.module])]))

    def classes(self) -> Iterator[ClassOutline]:
        """All classes that its top level defines."""
        for statement in self.tree.body:
            if isinstance(statement, ast.ClassDef):
                yield ClassOutline(self, statement)

    @cached_property
    def _bindings(self) -> dict[str, list[ast.stmt | None]]:
        """By name, the statements that bind it; None stands for one that may not run."""
        found: dict[str, list[ast.stmt | None]] = {}
        for statement in _certain(self.tree.body):
            names = list(_bound(statement))
            for name in names:
                found.setdefault(name, []).append(statement)
            if not names:
                for name in _bound_inside(statement):
                    found.setdefault(name, []).append(None)
        return found


@dataclass(frozen=True, eq=False)
class ClassOutline:
    """A class statement, and the module around it."""

    module: ModuleOutline
    node: ast.ClassDef

    @property
    def place(self) -> str:
        """Where it is, as ``module:Class``."""
        return f"{self.module.name}:{self.node.name}"

    @property
    def summary(self) -> str:
        """First line of its own docstring."""
        return first_line(ast.get_docstring(self.node))

    def registered_name(self, decorator: str) -> str | None:
        """Return the name that ``@decorator("name")`` gives it, None without one."""
        for call in self.node.decorator_list:
            if isinstance(call, ast.Call) and _last_part(call.func) == decorator and call.args:
                name = call.args[0]
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    return name.value
        return None

    def value(self, path: str) -> Any:
        """Return a class attribute, its own or inherited.

        Args:
            path: Its name; behind a dot, the keyword of the call that makes it ("facts.title").

        Raises:
            UnreadableError: It is no plain value.
        """
        name, *inside = path.split(".")
        for outline in self.lineage:
            if name in outline._members:
                found = outline._members[name]
                if not isinstance(found, ast.expr):
                    raise UnreadableError(f"{outline.place}.{name} is computed")
                for keyword in inside:
                    found = _keyword(found, keyword)
                return _evaluate(found, outline.module)
        raise UnreadableError(f"{self.place} has no attribute {name}")

    def settings(self) -> dict[str, Any]:
        """Return the arguments of its constructor with their defaults.

        ``inspect.Parameter.empty`` stands for no default, as in :mod:`inspect`.

        Raises:
            UnreadableError: A default is no plain value, or the constructor is decorated.
        """
        for outline in self.lineage:
            start = outline._members.get("__init__")
            if isinstance(start, ast.FunctionDef) and not start.decorator_list:
                return _arguments(start.args, outline.module)
            if start is not None:
                raise UnreadableError(f"the constructor of {outline.place} is computed")
        return {}

    @cached_property
    def lineage(self) -> tuple[ClassOutline, ...]:
        """The class and its bases, the nearest first, as Python looks attributes up.

        Raises:
            UnreadableError: A base is not to be found, or more than the class statements says what
                the class is: a metaclass, a decorator, a condition in its body.
        """
        found = list(self._ancestors(0))
        last = {outline.place: position for position, outline in enumerate(found)}
        lineage = [o for position, o in enumerate(found) if last[o.place] == position]
        for outline in lineage:
            makers = [name for name in _MAKERS if name in outline._members]
            if makers:
                raise UnreadableError(f"{outline.place} has {makers[0]}")
        return tuple(lineage)

    def _ancestors(self, depth: int) -> Iterator[ClassOutline]:
        if depth > _DEEPEST:
            raise UnreadableError(f"{self.place} has too many bases")
        self._require_plain()
        yield self
        for base in self.node.bases:
            outline = self._base(base)
            if outline is not None:
                yield from outline._ancestors(depth + 1)

    def _base(self, base: ast.expr) -> ClassOutline | None:
        plain = base.value if isinstance(base, ast.Subscript) else base
        if not isinstance(plain, ast.Name):
            raise UnreadableError(f"a base of {self.place} is not written as a name")
        if plain.id == "object":
            return None
        bound = self.module.binding(plain.id)
        if isinstance(bound, ast.ImportFrom) and bound.module in _TERMINAL and not bound.level:
            return None
        return self.module.class_(plain.id)

    def _require_plain(self) -> None:
        if self.node.keywords:
            raise UnreadableError(f"{self.place} has a metaclass or arguments")
        for decorator in self.node.decorator_list:
            made = decorator.func if isinstance(decorator, ast.Call) else decorator
            if not _last_part(made).startswith("register"):
                raise UnreadableError(f"{self.place} is decorated")
        for statement in self.module.tree.body:
            if isinstance(statement, ast.Assign | ast.AugAssign | ast.Delete) and any(
                isinstance(part, ast.Attribute) and _last_part(part.value) == self.node.name
                for part in ast.walk(statement)
                if isinstance(getattr(part, "ctx", None), ast.Store | ast.Del)
            ):
                raise UnreadableError(f"{self.place} is changed after it is made")

    @cached_property
    def _members(self) -> Mapping[str, ast.expr | ast.stmt]:
        found: dict[str, ast.expr | ast.stmt] = {}
        for statement in self.node.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                given = _assigned(statement)
                if statement.value is not None and not given:
                    raise UnreadableError(f"the body of {self.place} is not plain")
                found |= given
            elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found[statement.name] = statement
            elif not isinstance(statement, ast.Expr | ast.Pass):
                raise UnreadableError(f"the body of {self.place} is not plain")
        return found


def outline_class(place: str) -> ClassOutline:
    """Read the class at ``module:Class``.

    Raises:
        UnreadableError: Its source is not to be found, or it is no class statement.
    """
    module, _, name = place.partition(":")
    return outline_module(module).class_(name)


@cache
def outline_module(name: str) -> ModuleOutline:
    """Read a module without importing it or the packages around it.

    Raises:
        NotThereError: There is none, or its source is no Python.
        UnreadableError: It has no source.
    """
    spec = _find(name)
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise UnreadableError(f"{name} has no Python source")
    try:
        tree = ast.parse(Path(spec.origin).read_bytes(), spec.origin)
    except (OSError, RecursionError, MemoryError) as error:
        raise UnreadableError(f"{name}: {type(error).__name__}: {error}") from error
    except (SyntaxError, ValueError) as error:
        raise NotThereError(f"{type(error).__name__}: {error}") from error
    inside = spec.submodule_search_locations is not None
    return ModuleOutline(name, tree, name if inside else name.rpartition(".")[0])


def registered_classes(package: str, decorator: str) -> Iterator[tuple[str, ClassOutline]]:
    """Find the classes below ``package`` that ``@decorator("name")`` registers, with their names.

    Raises:
        UnreadableError: The package has no folder, or a module that registers is no Python.
    """
    for folder in _find(package).submodule_search_locations or ():
        for file in sorted(Path(folder).rglob("*.py")):
            if f"{decorator}(".encode() not in file.read_bytes():
                continue
            parts = file.relative_to(folder).with_suffix("").parts
            module = ".".join([package, *(part for part in parts if part != "__init__")])
            for outline in outline_module(module).classes():
                name = outline.registered_name(decorator)
                if name is not None:
                    yield name, outline


def first_line(docstring: str | None) -> str:
    """Return the first line of a docstring that says something; nothing where there is none."""
    return next((line.strip() for line in (docstring or "").splitlines() if line.strip()), "")


def _find(name: str) -> ModuleSpec:
    """Find a module as the import system does, but without importing its parents."""
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top) if top else None
        for part in rest:
            # The last part alone: a dotted name makes namespace packages ask for their parents.
            where = list(spec.submodule_search_locations or ()) if spec else []
            spec = PathFinder.find_spec(part, where)
    except (ImportError, ValueError, OSError) as error:
        raise UnreadableError(f"{name}: {error}") from error
    if spec is None:
        raise NotThereError(f"there is no module {name!r}")
    return spec


def _certain(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run, and imports for type checkers, which say where names come from."""
    for statement in body:
        if isinstance(statement, ast.If) and _last_part(statement.test) == "TYPE_CHECKING":
            yield from statement.body
        else:
            yield statement


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Names that a simple statement binds."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
    elif isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        yield from _assigned(statement)


def _assigned(statement: ast.Assign | ast.AnnAssign) -> dict[str, ast.expr]:
    """Names and what they are given, pairs of ``a, b = 1, 2`` included."""
    found: dict[str, ast.expr] = {}
    value = statement.value
    for target in [statement.target] if isinstance(statement, ast.AnnAssign) else statement.targets:
        if value is not None and isinstance(target, ast.Name):
            found[target.id] = value
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = zip(target.elts, value.elts, strict=False)
            if len(target.elts) == len(value.elts):
                found |= {name.id: part for name, part in pairs if isinstance(name, ast.Name)}
    return found


def _bound_inside(statement: ast.stmt) -> Iterator[str]:
    """Names that a compound statement, or an assignment to a pattern, may bind."""
    for part in ast.walk(statement):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store | ast.Del):
            yield part.id
        elif isinstance(part, ast.stmt):
            yield from _bound(part)


def _original(statement: ast.ImportFrom, name: str) -> str:
    return next(alias.name for alias in statement.names if (alias.asname or alias.name) == name)


def _last_part(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _keyword(node: ast.expr, name: str) -> ast.expr:
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg == name:
                return keyword.value
    raise UnreadableError(f"there is no keyword {name} in {ast.unparse(node)[:40]}")


def _arguments(arguments: ast.arguments, module: ModuleOutline) -> dict[str, Any]:
    """Arguments behind ``self`` with their defaults, in the order of the signature."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = list(zip(positional, [*defaults, *arguments.defaults], strict=True))[1:]
    pairs += [(argument, None) for argument in filter(None, [arguments.vararg])]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    pairs += [(argument, None) for argument in filter(None, [arguments.kwarg])]
    empty = inspect.Parameter.empty
    return {
        argument.arg: empty if default is None else _evaluate(default, module)
        for argument, default in pairs
    }


def _evaluate(node: ast.expr, module: ModuleOutline, depth: int = 0) -> Any:
    """Return a literal, a constant of a module, or the value of a member of an enumeration."""
    if depth > _DEEPEST:
        raise UnreadableError(f"{ast.unparse(node)[:40]} is defined in a circle")
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        pass
    if isinstance(node, ast.Tuple | ast.List) and not any(
        isinstance(part, ast.Starred) for part in node.elts
    ):
        values = [_evaluate(part, module, depth + 1) for part in node.elts]
        return tuple(values) if isinstance(node, ast.Tuple) else values
    if isinstance(node, ast.Name):
        bound = module.binding(node.id)
        if isinstance(bound, ast.Assign | ast.AnnAssign):
            return _evaluate(_assigned(bound)[node.id], module, depth + 1)
        if isinstance(bound, ast.ImportFrom):
            name = ast.Name(_original(bound, node.id), ast.Load())
            return _evaluate(name, module.origin(bound), depth + 1)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        member = module.class_(node.value.id)._members.get(node.attr)
        if isinstance(member, ast.Constant):
            return member.value
    raise UnreadableError(f"{ast.unparse(node)[:40]} is no plain value")
