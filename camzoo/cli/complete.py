"""Shell completion: names of what there is, from the registries, in the time of a key stroke.

Click asks for candidates in a process of its own at every press of the key. The registries import
nothing for it. An error must not reach the user's prompt, so there are just no candidates then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import TypeVar

Candidate = tuple[str, str]
F = TypeVar("F", bound=Callable[[str], Iterable[Candidate]])


def _quietly(complete: F) -> Callable[[str], list[Candidate]]:
    @wraps(complete)
    def candidates(incomplete: str) -> list[Candidate]:
        try:
            return list(complete(incomplete))
        except Exception:  # a damaged package is no reason to spoil the prompt
            return []

    return candidates


@_quietly
def data_set(incomplete: str) -> Iterable[Candidate]:
    """Names of data sets."""
    return _names("datasets", incomplete)


@_quietly
def preset(incomplete: str) -> Iterable[Candidate]:
    """Names of presets."""
    from camzoo.presets import PRESETS

    return [(name, "") for name in PRESETS if name.startswith(incomplete)]


@_quietly
def methods(incomplete: str) -> Iterable[Candidate]:
    """CAM methods, chains and sets, the last of several separated by commas."""
    from camzoo.steps.chain import NAMED
    from camzoo.steps.selection import SETS

    words = {name: f"short for {chain}" for name, chain in NAMED.items()}
    words |= {name: f"{len(members)} methods" for name, members in SETS.items()}
    return _last_of_list("cams", incomplete, words | {"all": "every method"})


@_quietly
def baselines(incomplete: str) -> Iterable[Candidate]:
    """Baselines, the last of several separated by commas."""
    return _last_of_list("baselines", incomplete, {"all": "every baseline", "none": "no baseline"})


@_quietly
def backbone(incomplete: str) -> Iterable[Candidate]:
    """Networks of timm."""
    from camzoo.network.timm_names import model_names

    return [(name, "") for name in model_names() if name.startswith(incomplete)]


@_quietly
def plug_in(incomplete: str) -> Iterable[Candidate]:
    """CAM methods and baselines."""
    return [*_names("cams", incomplete), *_names("baselines", incomplete)]


@_quietly
def executor(incomplete: str) -> Iterable[Candidate]:
    """Executors."""
    return _names("executors", incomplete)


@_quietly
def kind_or_name(incomplete: str) -> Iterable[Candidate]:
    """What ``camzoo list`` takes."""
    from camzoo.registries import REGISTRIES

    kinds = [(kind, "") for kind in REGISTRIES if kind.startswith(incomplete)]
    return kinds + [pair for kind in REGISTRIES for pair in _names(kind, incomplete)]


@_quietly
def setting(incomplete: str) -> Iterable[Candidate]:
    """Settings of a run, as ``--set`` takes them."""
    from camzoo.config import BenchConfig, dotted_names

    return [(f"{n}=", "") for n in dotted_names(BenchConfig()) if n.startswith(incomplete)]


def _names(kind: str, incomplete: str) -> Iterator[Candidate]:
    from camzoo.registries import REGISTRIES

    registry = REGISTRIES[kind]
    for name in registry.names():
        if name.startswith(incomplete):
            yield name, registry.describe(name).summary


def _last_of_list(kind: str, incomplete: str, words: dict[str, str]) -> Iterator[Candidate]:
    before, comma, last = incomplete.rpartition(",")
    taken = set(before.split(","))
    known = {**words, **dict(_names(kind, last))}
    for name, text in known.items():
        if name.startswith(last) and name not in taken:
            yield f"{before}{comma}{name}", text
