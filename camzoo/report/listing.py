"""What ``camzoo list`` shows: names with a line each, or all about one of them.

Nothing is imported for it: the registries read the sources of what they hold.
"""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from camzoo.core.errors import ConfigError
from camzoo.core.registry import Description, Registry
from camzoo.core.spec import written
from camzoo.core.suggest import unknown
from camzoo.registries import REGISTRIES
from camzoo.steps.chain import NAMED
from camzoo.steps.selection import SETS

#: From this width on, tables have all their columns.
_WIDE: Final = 110
#: Behind the name, a column per fact: heading, fact, and whether narrow tables have it, too.
_COLUMNS: Final[dict[str, tuple[tuple[str, str, bool], ...]]] = {
    "cams": (
        ("supervision", "supervision", True),
        ("what it does", "summary", True),
        ("paper", "paper", False),
    ),
    "steps": (
        ("what it does", "summary", True),
        ("settings", "settings", True),
        ("cost", "cost", False),
        ("paper", "paper", False),
    ),
    "baselines": (
        ("supervision", "supervision", True),
        ("what it does", "summary", True),
        ("cost", "cost", False),
        ("paper", "paper", False),
    ),
    "datasets": (
        ("title", "facts.title", True),
        ("options", "settings", True),
        ("licence", "facts.licence", True),
    ),
    "metrics": (
        ("label", "label", True),
        ("unit", "unit", True),
        ("what it does", "summary", True),
        ("direction", "direction", False),
    ),
    "executors": (
        ("where", "where", True),
        ("settings", "settings", True),
        ("what it does", "summary", True),
    ),
}
_TITLES: Final = {
    "cams": "CAM methods", "steps": "Steps behind a method", "baselines": "Baselines",
    "datasets": "Data sets", "metrics": "Metrics", "executors": "Executors",
}  # fmt: skip


def listing(what: str, pattern: str, width: int, *, every: bool = False) -> Iterator[Table | Text]:
    """Show what there is.

    Args:
        what: A kind ("cams", "datasets", ...); or a name, or a pattern of names, of any.
        pattern: Shell-style, of names.
        width: Columns of the terminal; narrow tables leave columns out.
        every: Show the wrapped classes of other libraries, too, where no pattern asks for them.

    Raises:
        ConfigError: There is no such kind or name, or nothing fits the pattern.
    """
    found, asked = _found(what, pattern)
    if any(asked in names for names in found.values()):
        for kind, names in found.items():
            if asked in names:
                yield from _details(kind, asked)
        return
    for kind, names in found.items():
        if names:
            yield from _table(kind, names, width, folded=asked == "*" and not every)


def entries(what: str, pattern: str) -> dict[str, list[dict[str, Any]]]:
    """The same as plain values: by kind, an entry per name with all that is known of it.

    Raises:
        ConfigError: There is no such kind or name, or nothing fits the pattern.
    """
    found, _ = _found(what, pattern)
    return {
        kind: [_entry(REGISTRIES[kind], name) for name in names] for kind, names in found.items()
    }


def _entry(registry: Registry[Any], name: str) -> dict[str, Any]:
    description = _description(registry, name)
    facts = {fact.rpartition(".")[2]: value for fact, value in description.facts.items()}
    told = {"summary": description.summary, **facts, "settings": _jsonable(description.settings)}
    own = {"package": registry.package(name)} if name in registry else {}
    return {"name": name, **own, **({"fault": description.fault} if description.fault else told)}


def _found(what: str, pattern: str) -> tuple[dict[str, list[str]], str]:
    """Names by kind, and the pattern that they fit."""
    kinds = [what] if what in REGISTRIES else list(REGISTRIES)
    asked = pattern if what in REGISTRIES else what
    found = {kind: _matching(kind, asked) for kind in kinds}
    if not any(found.values()):
        raise _nothing(what, asked)
    return {kind: names for kind, names in found.items() if names}, asked


def _nothing(what: str, asked: str) -> ConfigError:
    kinds = ", ".join(REGISTRIES)
    if what in REGISTRIES:
        return ConfigError(f"no {what} match {asked!r}; `camzoo list {what}` shows all")
    if any(mark in asked for mark in "*?["):
        return ConfigError(f"nothing matches {asked!r}; camzoo list takes {kinds}, or a name")
    names = [name for registry in REGISTRIES.values() for name in registry.names()]
    return unknown("kind or name", what, [*REGISTRIES, *NAMED, *names], otherwise=[*REGISTRIES])


def _matching(kind: str, pattern: str) -> list[str]:
    short = fnmatch.filter(NAMED, pattern) if kind == "cams" else []
    return REGISTRIES[kind].names(pattern) + short


def _table(kind: str, names: list[str], width: int, *, folded: bool) -> Iterator[Table | Text]:
    registry, columns = REGISTRIES[kind], _COLUMNS[kind]
    shown = [name for name in names if not (folded and ":" in name)]
    chosen = [(head, fact) for head, fact, narrow in columns if narrow or width >= _WIDE]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=_TITLES[kind], title_justify="left")
    table.add_column("name", no_wrap=True)
    for heading, _ in chosen:
        table.add_column(heading, overflow="fold")
    for name in shown:
        table.add_row(_named(registry, name), *_row(registry, name, [f for _, f in chosen]))
    yield table
    if len(shown) < len(names):
        yield Text(
            f"and {len(names) - len(shown)} classes of pytorch-grad-cam, as their authors wrote "
            "them: camzoo list cams 'gradcam:*'"
        )
    for line in registry.refused():
        yield Text(f"not taken: {line}", style="red")
    if folded:
        yield Text(f"camzoo list NAME tells all about one, {_others(kind)}", style="dim")


def _others(kind: str) -> str:
    others = "|".join(other for other in REGISTRIES if other != kind)
    sets = f"; --methods also takes {', '.join(SETS)}, all" if kind == "cams" else ""
    return f"camzoo list {others} lists the others{sets}"


def _named(registry: Registry[Any], name: str) -> Text:
    """A name, with the package that brings it where that is another's."""
    by = registry.package(name) if name in registry else "camzoo"
    return Text(name if by in ("", "camzoo") else f"{name}\n  of {by}")


def _row(registry: Registry[Any], name: str, facts: Iterable[str]) -> Iterator[Text]:
    description = _description(registry, name)
    for fact in facts:
        if description.fault:
            yield Text(description.fault, style="red") if fact == _TOLD[registry.kind] else Text()
        else:
            yield Text(_told(description, fact))


#: The column in which a fault stands.
_TOLD: Final = {
    registry.kind: "facts.title" if kind == "datasets" else "summary"
    for kind, registry in REGISTRIES.items()
}


def _description(registry: Registry[Any], name: str) -> Description:
    if name in registry:
        return registry.describe(name)
    return Description(f"short for {NAMED[name]}", {"paper": "Chen et al., CVPR 2022"})


def _told(description: Description, fact: str) -> str:
    if fact == "summary":
        return description.summary
    if fact == "settings":
        return " ".join(_settings(description))
    value = description.facts.get(fact, "")
    if fact == "supervision" and description.facts.get("control"):
        return f"{value}, control"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _settings(description: Description) -> list[str]:
    settings = {k: v for k, v in description.settings.items() if k != "root"}
    return written({key: _jsonable(value) for key, value in settings.items()})


def _jsonable(value: Any) -> Any:
    if value is inspect.Parameter.empty:  # it has no default, and has to be given
        return None
    if isinstance(value, Mapping):
        return {str(key): _jsonable(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(part) for part in value]
    return value if isinstance(value, bool | int | float | str | None) else repr(value)


def _details(kind: str, name: str) -> Iterator[Table | Text]:
    """All about one name, a line each."""
    registry = REGISTRIES[kind]
    description = _description(registry, name)
    yield Text(f"{registry.kind} {name}", style="bold")
    if description.fault:
        yield Text(description.fault, style="red")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    facts = {"what it does": description.summary}
    for fact in description.facts:
        facts[fact.rpartition(".")[2].replace("_", " ")] = _told(description, fact)
    facts["settings"] = " ".join(_settings(description)) or "none"
    if name in registry:
        facts["code"] = registry.place(name)
        facts["package"] = registry.package(name) or "registered by this program"
    for heading, text in facts.items():
        if text:
            table.add_row(heading, Text(text))
    yield table
