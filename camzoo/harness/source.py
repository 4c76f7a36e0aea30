"""What stands for the code that a result depends on: a hash of it, and versions of libraries.

Names of stages, methods and baselines stay while their code changes. What the store keeps of them
is found again only while the code is the same: that of their own module, and of every module that
it imports, directly or through others, from camzoo, from their own package, or from beside their
file. Of all other packages that these modules import, the versions count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import json
import marshal
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Final

from camzoo.core.environment import installed_version
from camzoo.core.lazy import homes_of

#: A worker, or a class that is plugged in.
Written = type | Callable[..., Any]

_OWN: Final = "camzoo"
#: Modules whose values stand in the keys of results, or from which no number comes.
_WITHOUT_NUMBERS: Final = frozenset(
    f"{_OWN}.{name}"
    for name in (
        "config",
        "core.errors",
        "core.files",
        "core.outline",
        "core.plugin_import",
        "core.processor",
        "core.progress",
        "core.registry",
        "core.suggest",
        "core.supervision",
        "metrics.threshold_rules.registry",
        "network.timm_names",
        "registries",
        *(f"{room}.registry" for room in ("cams", "data", "metrics", "segment", "steps")),
    )
)


#: Libraries that check and show; no number comes from them.
_TOOLS: Final = frozenset({"pydantic", "rich", "typer", "typing_extensions"})


def code_of(*written: Written) -> dict[str, Any]:
    """Return what stands in a key for the code behind classes and functions.

    Comments, docstrings and the layout of lines do not count: no result depends on them. Nor does
    what is found by a name in a registry. Each module is read once per process, so that an edit
    while a run goes on does not name results of the old code.

    Returns:
        ``source``: 16 hexadecimal digits for each; ``libraries``: name to version.
    """
    closures = [_closure(each) for each in written]
    libraries = frozenset().union(*(libraries for _, libraries in closures))
    return {
        "source": [digest for digest, _ in closures],
        "libraries": {name: version for top in libraries for name, version in _versions(top)},
    }


@cache
def _closure(written: Written) -> tuple[str, frozenset[str]]:
    """Hash of all modules behind something, and the other packages that they import."""
    own = written.__module__
    source = _source_around(written)
    if source is None:
        return _hash(_compiled(written)), frozenset()
    packages = {_OWN, own.partition(".")[0]}
    parts, libraries = {"": _bare(source)}, set[str]()
    todo = set(_imported(source, own))
    while todo:
        name = todo.pop()
        if name in (*parts, own) or name in _WITHOUT_NUMBERS:
            continue
        top = name.partition(".")[0]
        if top not in packages and not _beside(top, own):
            libraries.add(top)
            continue
        text = _source_of(name)
        if text is not None:
            parts[name] = _bare(text)
            todo.update(_imported(text, name))
    libraries -= sys.stdlib_module_names | _TOOLS | {""}
    return _hash(json.dumps(parts, sort_keys=True)), frozenset(libraries)


def _versions(top: str) -> list[tuple[str, str]]:
    """The distributions that a package comes from, with their versions."""
    return [(name.lower(), installed_version(name)) for name in _homes().get(top, [top])]


@cache
def _homes() -> dict[str, list[str]]:
    return {top: sorted(set(names)) for top, names in packages_distributions().items()}


@cache
def _source_around(written: Written) -> str | None:
    """Source of the module that something is in; None where it was typed at a prompt."""
    try:
        return inspect.getsource(inspect.getmodule(written) or written)
    except (OSError, TypeError):
        return None


def _compiled(written: Written) -> str:
    """What stands for code without source, as typed at a prompt: the bytecode of its functions."""
    members = vars(written) if isinstance(written, type) else {"": written}
    codes = {
        name: marshal.dumps(code).hex()
        for name, member in members.items()
        if (code := getattr(getattr(member, "__func__", member), "__code__", None))
    }
    return json.dumps([written.__qualname__, codes])


@cache
def _source_of(name: str) -> str | None:
    """Source of a module; None where there is none of that name, or none to read."""
    found = _found(name)
    if found is None or not found.origin or not found.origin.endswith(".py"):
        return None
    return Path(found.origin).read_text(encoding="utf-8")


@cache
def _imported(source: str, module: str) -> tuple[str, ...]:
    """Names that the imports of a module may stand for: of modules, and of what is in them.

    A name that a package imports on first use stands for the module that it comes from, and the
    package as a whole for all of these: which of them are used is not looked for.
    """
    return tuple(dict.fromkeys(_names(ast.parse(source), module)))


def _names(tree: ast.AST, module: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            yield from (home for alias in node.names for home in homes_of(alias.name).values())
        elif isinstance(node, ast.ImportFrom):
            parents = _parents(module, node.level) if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
            homes = homes_of(base)
            yield from (homes[alias.name] for alias in node.names if alias.name in homes)
        else:
            yield from _names(node, module)


def _parents(module: str, level: int) -> list[str]:
    """Names of the package that so many dots stand for in a module: in a package one is itself."""
    found = _found(module)
    package = found is not None and found.submodule_search_locations is not None
    names = module.split(".")
    return names[: len(names) - level + package]


def _found(name: str) -> ModuleSpec | None:
    """Where a module is; None where there is none of that name."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # its parent is no package: the name is of something in it
        return None


@cache
def _beside(top: str, own: str) -> bool:
    """Whether a module or package lies beside a plug-in in one file, which has no package.

    Asked of the first part of a name alone: to find what is in a package would import it.
    """
    if "." in own:
        return False
    here, other = (_found(each) for each in (own, top))
    if here is None or other is None or not here.origin or not other.origin:
        return False
    folder, place = Path(here.origin).parent, Path(other.origin)
    if other.submodule_search_locations is not None:
        place = place.parent
    return place.parent == folder and not {"site-packages", "lib"} & {*folder.parts}


@cache
def _bare(source: str) -> str:
    """Source as Python itself would write it, without strings that are statements."""
    return ast.unparse(_WithoutWords().visit(ast.parse(source)))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _WithoutWords(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        words = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if words else node
