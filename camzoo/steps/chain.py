"""Chains: a CAM method and the steps behind it, as one writes them.

``layer-cam`` is a chain without steps; ``cam[cc,ac]`` puts two behind CAM; ``cam[ac]:tau=0.1``
gives every step that has a setting ``tau`` that value. The names of the C-CAM paper are short for
such chains (:data:`NAMED`), and take further steps in the same way: ``p-cam[aff]``, ``c-cam[cc]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from camzoo.core.errors import ConfigError
from camzoo.core.pairs import parse_pairs
from camzoo.core.registries import cams, steps
from camzoo.core.settings import require_like, written
from camzoo.core.suggest import unknown
from camzoo.core.supervision import Supervision

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
_SYNTAX = re.compile(
    r"(?P<head>[^\[\]]+?)(\[(?P<steps>[^\[\]]*)\])?(?P<settings>(:[^:=\[\]]+=[^:]+)*)"
)


@dataclass(frozen=True)
class Chain:
    """A CAM method, the steps behind it, and their settings.

    Attributes:
        label: How tables call it, without settings.
        head: Registry name of the CAM method.
        steps: Registry names of the steps, in order.
        settings: Of the steps, shared by name, sorted; defaults are left out.
        own: Which of the settings the label stands for.
    """

    label: str
    head: str
    steps: tuple[str, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    own: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return ":".join([self.label, *self._written])

    @property
    def variant(self) -> str:
        """Settings that differ from what the label stands for, and where masks were seen."""
        parts = list(self._written)
        seen = self.supervision
        if seen.opens_masks and not self.method.supervision.includes(seen):
            parts.append("oracle-prior")
        return " ".join(parts)

    @property
    def method(self) -> type[CamMethod]:
        """The CAM method at its head."""
        return cams.get(self.head)

    @property
    def fault(self) -> str:
        """Why its method cannot be loaded, an empty string where it can."""
        try:
            cams.get(self.head)
        except ConfigError as error:
            return str(error)
        return ""

    @cached_property
    def built(self) -> tuple[MapStep, ...]:
        """The steps with their settings."""
        return tuple(_build(name, dict(self.settings)) for name in self.steps)

    @property
    def supervision(self) -> Supervision:
        """The most that any part of the chain may see."""
        parts = [self.method.supervision, *(step.supervision for step in self.built)]
        return max(parts, key=list(Supervision).index)

    def step_settings(self, name: str) -> dict[str, Any]:
        """All settings of one of the steps, defaults included."""
        own = dict(_defaults(name))
        return own | {key: value for key, value in self.settings if key in own}

    @property
    def _written(self) -> list[str]:
        """Settings that differ from what the label stands for, as they are written."""
        return written({key: value for key, value in self.settings if key not in self.own})


def parse_chain(text: str) -> Chain:
    """Read a chain. Its method is not imported, and its steps only if they are given settings.

    Raises:
        ConfigError: It is not written like one, a step does not take the value of a setting, or no
            step has the setting.
        UnknownNameError: No such method or step.
    """
    match = _SYNTAX.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"expected a method like cam, cam[cc,ac] or cam[ac]:tau=0.1, got {text!r}"
        )
    head, inside = match["head"], match["steps"]
    settings = parse_pairs(text, match["settings"].split(":")[1:])
    own: dict[str, Any] = {}
    if inside is None and head in NAMED:
        short = parse_chain(NAMED[head])
        names, base, own = short.steps, short.head, dict(short.settings)
    else:
        names = tuple(part.strip() for part in (inside or "").split(",") if part.strip())
        base = _HEADS.get(head, head)
    _require_names(base, names)
    _require_settings(text, names, settings)
    _require_own(head, own, settings)
    _require_order(text, names)
    label = _label(head, base, names, own)
    told = own | {key: value for key, value in settings.items() if _tells(names, key, value)}
    chain = Chain(label, base, names, tuple(sorted(told.items())), frozenset(own))
    if settings:
        _ = chain.built  # a wrong value is found here
    return chain


def _label(head: str, base: str, names: tuple[str, ...], own: Mapping[str, Any]) -> str:
    """The short name where there is one, else the head as it was written, with the steps."""
    if not names:
        return base
    if own:
        return head
    plain = f"{base}[{','.join(names)}]"
    short = [name for name, text in NAMED.items() if text == plain]
    return short[0] if short else f"{head}[{','.join(names)}]"


def _require_names(head: str, names: tuple[str, ...]) -> None:
    if head not in cams:
        raise unknown(cams.kind, head, [*cams.names(), *NAMED])
    for name in names:
        steps.require(name)


def _defaults(step: str) -> Mapping[str, Any]:
    """Settings of a step.

    Raises:
        ConfigError: It cannot be had.
    """
    description = steps.describe(step)
    if description.fault:
        raise ConfigError(description.fault)
    return description.settings


def _require_settings(text: str, names: tuple[str, ...], settings: Mapping[str, Any]) -> None:
    known = [(name, _defaults(name)) for name in names]
    every = sorted({key for _, own in known for key in own})
    for key, value in settings.items():
        if key not in every:
            raise unknown("setting", key, every, of=f"the steps of {text!r}")
        for name, own in known:
            if key in own:
                require_like(name, key, value, own[key])


def _require_own(head: str, own: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    for key, value in own.items():
        if settings.get(key, value) != value:
            raise ConfigError(
                f"{head} is short for {NAMED[head]}: {key} cannot be {settings[key]!r} in it"
            )


def _require_order(text: str, names: tuple[str, ...]) -> None:
    for name in names[1:]:
        if steps.describe(name).facts.get("remakes"):
            raise ConfigError(
                f"{text!r}: {name} makes maps anew and would drop what the steps before it did; "
                "put it first"
            )


def _tells(names: tuple[str, ...], key: str, value: Any) -> bool:
    """Whether a setting is another than the default of a step that has it."""
    known = [_defaults(name) for name in names]
    return any(key in own and own[key] != value for own in known)


def _build(name: str, settings: Mapping[str, Any]) -> MapStep:
    taken = {key: value for key, value in settings.items() if key in _defaults(name)}
    return steps.get(name)(**taken)
