"""Chains: a CAM method and the steps behind it, as one writes them.

``layer-cam`` is a chain without steps; ``cam[cc,ac]`` puts two behind CAM. The method and each step
are names with settings (:mod:`camzoo.core.spec`): ``smooth-grad-cam++:samples=16[ac:tau=0.1,aff]``.
What stands behind the brackets goes to every step that has such a setting: ``cam[cc,ac]:map=B``.
The names of the C-CAM paper are short for such chains (:data:`NAMED`), and take further steps in
the same way: ``p-cam[aff]``, ``c-cam[cc]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from camzoo.cams.registry import cams
from camzoo.core.errors import ConfigError
from camzoo.core.spec import (
    Spec,
    all_settings,
    build,
    make_spec,
    settings_of,
    split_brackets,
    split_names,
    split_settings,
    written,
)
from camzoo.core.suggest import unknown
from camzoo.core.supervision import Supervision
from camzoo.steps.registry import steps

if TYPE_CHECKING:
    from camzoo.cams.base import CamMethod
    from camzoo.steps.base import MapStep

#: Names that are short for a chain.
NAMED: Final[dict[str, str]] = {
    "p-cam": "cam",
    "c-cam": "cam[cc,ac,aff]",
    "prior-only": "cam[prior]",
    "positives-only": "cam[cc]:map=none",
}
#: What the paper's names stand for where steps are given: the classifier's plain CAM.
_HEADS: Final = {"p-cam": "cam", "c-cam": "cam"}


@dataclass(frozen=True)
class Chain:
    """A CAM method and the steps behind it.

    Attributes:
        label: How tables call it, without settings.
        head: The CAM method.
        steps: The steps, in order.
        own: Names of the settings that the label stands for.
    """

    label: str
    head: Spec
    steps: tuple[Spec, ...] = ()
    own: frozenset[str] = frozenset()

    def __str__(self) -> str:
        inside = [self._inside(step) for step in self.steps]
        start = self.label
        if self.head.settings or any(inside):
            start = str(Spec(self.label.partition("[")[0], self.head.settings))
            parts = [
                ":".join([step.name, *words])
                for step, words in zip(self.steps, inside, strict=True)
            ]
            start += f"[{','.join(parts)}]" if parts else ""
        return ":".join([start, *self._behind])

    @property
    def variant(self) -> str:
        """Settings that differ from what the label stands for, and where masks were seen."""
        parts = self.public._words()
        seen = self.supervision
        if seen.opens_masks and not self.method.supervision.includes(seen):
            parts.append("oracle-prior")
        return " ".join(parts)

    @property
    def public(self) -> Chain:
        """The same with names in the place of paths, as rows and manifests have it."""
        names = ({s: path.resolve().name for s, path in step.places.items()} for step in self.built)
        return self._with([*names])

    @property
    def identity(self) -> Chain:
        """The same with digests in the place of paths: what its maps depend on."""
        return self._with([step.contents for step in self.built])

    def _with(self, values: Sequence[Mapping[str, str]]) -> Chain:
        """The same with other values of settings, a mapping for each step."""
        if not any(values):
            return self
        changed = tuple(
            Spec(step.name, tuple((key, own.get(key, value)) for key, value in step.settings))
            for step, own in zip(self.steps, values, strict=True)
        )
        return replace(self, steps=changed)

    @property
    def method(self) -> type[CamMethod]:
        """The class of the CAM method at its head."""
        return cams.get(self.head.name)

    @property
    def fault(self) -> str:
        """Why its method cannot be loaded, an empty string where it can."""
        try:
            cams.get(self.head.name)
        except ConfigError as error:
            return str(error)
        return ""

    @cached_property
    def built(self) -> tuple[MapStep, ...]:
        """The steps, constructed with their settings."""
        return tuple(build(step, steps) for step in self.steps)

    @property
    def supervision(self) -> Supervision:
        """The most that any part of the chain may see."""
        parts = [self.method.supervision, *(step.supervision for step in self.built)]
        return max(parts, key=list(Supervision).index)

    def _words(self) -> list[str]:
        """All settings that differ from what the label stands for, each with whose it is."""
        parts = [f"{self.head.name}:" * bool(self.steps) + word for word in self._at_head]
        names = [step.name for step in self.steps]
        for place, step in enumerate(self.steps, 1):
            who = step.name if names.count(step.name) == 1 else f"{place}.{step.name}"
            parts += [f"{who}:{word}" for word in self._inside(step)]
        return parts + self._behind

    @property
    def _at_head(self) -> list[str]:
        return written(dict(self.head.settings))

    @property
    def _behind(self) -> list[str]:
        """Settings that stand behind the brackets, without those that the label stands for."""
        return written({key: v for key, v in self._shared.items() if key not in self.own})

    def _inside(self, step: Spec) -> list[str]:
        """Settings of a step that stand within the brackets."""
        return written({key: v for key, v in step.settings if key not in self._shared})

    @cached_property
    def _shared(self) -> dict[str, Any]:
        """Settings that are the same in every step that has them."""
        every = [all_settings(step, steps) for step in self.steps] if self._told else []
        values = {key: [own[key] for own in every if key in own] for key in self._told}
        return {key: v[0] for key, v in values.items() if all(one == v[0] for one in v)}

    @property
    def _told(self) -> list[str]:
        return sorted({key for step in self.steps for key, _ in step.settings})


def parse_chain(text: str) -> Chain:
    """Read a chain. Of its parts only those are imported that are given settings.

    Raises:
        ConfigError: It is not written like one, or a part does not take the value of a setting.
        UnknownNameError: There is no such method, step or setting.
    """
    start, inside, behind = _parts(text)
    name, told = split_settings(start)
    if inside is None and name in NAMED:
        return _short(name, told)
    head = _method(_HEADS.get(name, name), told)
    shared = split_settings(f"{name}{behind}")[1]
    parts = [split_settings(part) for part in split_names(inside or "")]
    chosen = _steps(text, parts, shared)
    return Chain(_label(name, head.name, chosen), head, chosen)


def is_control(text: str) -> bool:
    """Whether the maps of a chain do not depend on the classifier's opinion of the image.

    Nothing is imported for it, since pages of records ask for every line.

    Raises:
        ConfigError: It is not written like a chain.
        UnknownNameError: There is no such method or step.
    """
    start, inside, _ = _parts(text)
    name = split_settings(start)[0]
    if inside is None and name in NAMED:
        return is_control(NAMED[name])
    behind = [split_settings(part)[0] for part in split_names(inside or "")]
    parts = [cams.describe(_HEADS.get(name, name)), *map(steps.describe, behind)]
    return any(bool(part.facts.get("control")) for part in parts)


def _parts(text: str) -> tuple[str, str | None, str]:
    """What stands in front of the brackets, in them, and behind.

    Raises:
        ConfigError: It is not written like a chain.
    """
    start, inside, behind = split_brackets(text)
    closed = inside is not None or "[" not in split_settings(start)[0]
    if not start or not closed or split_settings(f"_{behind}")[0] != "_":
        raise ConfigError(
            f"expected a method like cam, cam[cc,ac] or cam[ac]:tau=0.1, got {text!r}"
        )
    return start, inside, behind


def _short(name: str, told: Mapping[str, Any]) -> Chain:
    """The chain that a name of its own stands for, with settings for its steps.

    Raises:
        ConfigError: They contradict what the name stands for.
    """
    short = parse_chain(NAMED[name])
    if not short.steps:
        return Chain(short.label, _method(short.head.name, told))
    own = {key: value for step in short.steps for key, value in step.settings}
    for key, value in own.items():
        if told.get(key, value) != value:
            raise ConfigError(
                f"{name} is short for {NAMED[name]}: {key} cannot be {told[key]!r} in it"
            )
    chosen = _steps(name, [(step.name, {}) for step in short.steps], {**told, **own})
    return Chain(name, short.head, chosen, frozenset(own))


def _label(name: str, base: str, chosen: Sequence[Spec]) -> str:
    """The short name where there is one, else the head as it was written, with the steps."""
    if not chosen:
        return base
    behind = f"[{','.join(step.name for step in chosen)}]"
    short = [short for short, text in NAMED.items() if text == base + behind]
    return short[0] if short else name + behind


def _method(name: str, told: Mapping[str, Any]) -> Spec:
    if name not in cams:
        raise unknown(cams.kind, name, [*cams.names(), *NAMED])
    return make_spec(name, told, cams)


def _steps(
    text: str, parts: Sequence[tuple[str, Mapping[str, Any]]], shared: Mapping[str, Any]
) -> tuple[Spec, ...]:
    """Give shared settings to the steps that have them; where a step has its own, that counts.

    Raises:
        ConfigError: A step does not take a value, or may not stand where it does.
        UnknownNameError: There is no such step, or none has a shared setting.
    """
    for name, _ in parts:
        steps.require(name)
    known = [settings_of(name, steps) if shared else {} for name, _ in parts]
    every = sorted({key for own in known for key in own})
    for key in shared:
        if key not in every:
            raise unknown("setting", key, every, of=f"the steps of {text!r}")
    for name, _ in parts[1:]:
        if steps.describe(name).facts.get("remakes"):
            raise ConfigError(
                f"{text!r}: {name} makes maps anew and would drop what the steps before it did; "
                "put it first"
            )
    return tuple(
        make_spec(name, {**{k: v for k, v in shared.items() if k in own}, **told}, steps)
        for (name, told), own in zip(parts, known, strict=True)
    )
