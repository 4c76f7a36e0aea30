"""A name with settings, as one writes it: ``fem:sigmas=3``, ``sizeloss:weight=0.1:erosions=3``.

One grammar for all that can be plugged in. Settings are keyword arguments of a constructor. Their
values are JSON (``3``, ``true``, ``[1, 2]``), or else text; quotes keep text together that holds
marks of the grammar: ``irnet:method="cam[aff]:beta=5"``. Whatever a user writes is parsed once,
where it comes in, and the :class:`Spec` is handed on.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from camzoo.core.errors import ConfigError
from camzoo.core.suggest import unknown

if TYPE_CHECKING:
    from camzoo.core.registry import Registry

P = TypeVar("P")

#: A text in quotes, in which no mark counts, or one mark.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|.', re.DOTALL)
_COMMA: Final = re.compile(",")
#: In front of a setting. A colon may also stand in a name, as in ``gradcam:GradCAM``.
_COLON: Final = re.compile(r":(?=\w+=)")
#: Marks that text is put in quotes for.
_MARKS: Final = frozenset(':,"[]{}')
#: From here on not every whole number is a floating-point number.
_WHOLE: Final = 2**53


@dataclass(frozen=True)
class Spec:
    """What a user asks for: something registered, and its settings.

    Attributes:
        name: Name in a registry.
        settings: Settings that differ from the defaults, sorted by their names.
    """

    name: str
    settings: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return ":".join([self.name, *written(dict(self.settings))])

    def __hash__(self) -> int:
        return hash(str(self))  # values may be lists

    @property
    def variant(self) -> str:
        """The settings, as rows and tables have them."""
        return " ".join(written(dict(self.settings)))


def parse(text: str, registry: Registry[Any]) -> Spec:
    """Read a name with settings. What it names is imported only if settings are given.

    Raises:
        UnknownNameError: There is no such name, or no such setting.
        ConfigError: A value is of the wrong type or out of its range.
    """
    name, told = split_settings(text)
    return make_spec(name, told, registry)


def make_spec(name: str, told: Mapping[str, Any], registry: Registry[Any]) -> Spec:
    """Check settings, and leave out those that are the defaults.

    Raises:
        UnknownNameError: There is no such name, or no such setting.
        ConfigError: A value is of the wrong type or out of its range.
    """
    registry.require(name)
    if not told:
        return Spec(name)
    spec = Spec(name, tuple(checked(f"{registry.kind} {name}", told, settings_of(name, registry))))
    if spec.settings:
        build(spec, registry)  # a value out of its range is found here
    return spec


def build(spec: Spec, registry: Registry[type[P]]) -> P:
    """Construct what a spec names.

    Raises:
        ConfigError: It cannot be imported, or refuses a setting.
    """
    kind, settings = registry.get(spec.name), dict(spec.settings)
    _require_annotated(f"{registry.kind} {spec.name}", kind, settings)
    try:
        return kind(**settings)
    except (TypeError, ValueError) as error:
        if not settings:  # without settings it is its author's fault, and the user's otherwise
            raise
        raise ConfigError(f"{registry.kind} {spec}: {error}") from error


def settings_of(name: str, registry: Registry[Any]) -> Mapping[str, Any]:
    """Return all settings that something takes, with their defaults.

    Raises:
        ConfigError: It cannot be had.
    """
    description = registry.describe(name)
    if description.fault:
        raise ConfigError(description.fault)
    return description.settings


def all_settings(spec: Spec, registry: Registry[Any]) -> dict[str, Any]:
    """Return the settings of a spec, defaults included."""
    return dict(settings_of(spec.name, registry)) | dict(spec.settings)


def checked(
    who: str, told: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Give the settings that differ from their defaults, by name, in one form of every value.

    Args:
        who: What they are settings of, for messages: "step ac".
        told: Settings as the user gave them.
        known: All that there are, with their defaults.

    Raises:
        UnknownNameError: There is no such setting.
        ConfigError: A value is not of the type of its default: ``faithful=no``, say, which is
            text, and text is true.
    """
    for key, value in sorted(told.items()):
        if key not in known:
            raise unknown("setting", key, known, of=who)
        default = known[key]
        if not _is_like(value, default):
            kind = "list" if isinstance(default, tuple) else type(default).__name__
            raise ConfigError(
                f"{who}: {key} is of type {kind}, got {value!r}; write values as JSON "
                "(true, 3, 0.5)"
            )
        if value != (list(default) if isinstance(default, tuple) else default):
            yield key, _one_form(value)


def split_settings(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``name:key=value:key=value`` into the name and the settings, none checked yet.

    Raises:
        ConfigError: A setting is given twice.
    """
    name, *pieces = _split(text, _COLON)
    return name, parse_pairs(name, pieces)


def split_brackets(text: str) -> tuple[str, str | None, str]:
    """Split ``name:key=value[inside]:key=value`` in front of and behind the brackets.

    Brackets that are a value, as in ``key=[1, 2]``, are none.

    Returns:
        What stands before the brackets, in them, and behind; None in the middle where there are
        none, or where they are not closed.
    """
    marks = list(_marks(text))
    opened = [i for i, mark, depth in marks if (mark, depth) == ("[", 0) and text[i - 1 : i] != "="]
    for start in opened[:1]:
        for i, mark, depth in marks:
            if i > start and (mark, depth) == ("]", 1):
                return text[:start], text[start + 1 : i], text[i + 1 :]
    return text, None, ""


def split_names(text: str) -> list[str]:
    """Split at commas that stand in no brackets, braces or quotes; empty parts are left out."""
    return [part.strip() for part in _split(text, _COMMA) if part.strip()]


def parse_pairs(
    flag: str, texts: Iterable[str] | None, *, lists: Callable[[str], bool] | None = None
) -> dict[str, Any]:
    """Split KEY=VALUE texts; a value that is JSON ("3", "[1, 2]", "true") becomes what it says.

    Args:
        flag: What the texts stand behind, for messages.
        texts: Texts to split.
        lists: Says of a key whether commas in its value make a list, as in ``seeds=0,1``; by
            default none does. Parts of a list are read as values are.

    Raises:
        ConfigError: A text has no "=", or a key stands twice.
    """
    pairs: dict[str, Any] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"{flag} takes KEY=VALUE, got {text!r}")
        if key in pairs:
            raise ConfigError(f"{flag} {key} is given twice")
        pairs[key] = _value(value, as_list=lists is not None and lists(key))
    return pairs


def written(settings: Mapping[str, Any]) -> list[str]:
    """Write settings as a user would, KEY=VALUE each, so that they are read as what they are."""
    return [
        f"{key}={value if isinstance(value, str) and _is_plain(value) else json.dumps(value)}"
        for key, value in settings.items()
    ]


def require_once(what: str, texts: Iterable[tuple[str, str]]) -> None:
    """Refuse a thing that is named twice: tables would hold every number of it twice.

    Args:
        what: The setting, as the message calls it.
        texts: What a user wrote, and the name of what that stands for.

    Raises:
        ConfigError: With both texts, where they differ.
    """
    first: dict[str, str] = {}
    for text, name in texts:
        if name not in first:
            first[name] = text
        elif first[name] == text:
            raise ConfigError(f"{what}: takes each value once, and {text!r} is given twice")
        else:
            raise ConfigError(
                f"{what}: {first[name]} and {text} are one and the same; give one of the names"
            )


def _marks(text: str) -> Iterator[tuple[int, str, int]]:
    """Places of marks and quoted texts, and how many brackets and braces are open before each."""
    depth = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        yield token.start(), mark, depth
        depth = max(0, depth + (mark in ("[", "{")) - (mark in ("]", "}")))


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    parts = [""]
    for place, mark, depth in _marks(text):
        if depth == 0 and separator.match(text, place):
            parts.append("")
        else:
            parts[-1] += mark
    return parts


def _value(text: str, *, as_list: bool = False) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):  # plain text
        parts = split_names(text)
        if as_list and (len(parts) > 1 or text.endswith(",")):
            return [_value(part) for part in parts]
        return text


def _is_plain(text: str) -> bool:
    """Whether a text that is written as it is will be read as that text."""
    if not text or not text.isprintable() or text != text.strip() or _MARKS & set(text):
        return False
    if text.endswith("="):  # brackets behind it would be read as a value
        return False
    return bool(_value(text) == text)


def _one_form(value: Any) -> Any:
    """The same number whether it is written 1 or 1.0."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE
    return int(value) if whole else value


def _is_like(value: object, default: object) -> bool:
    if default is None or default is inspect.Parameter.empty:
        return True
    if type(default) is float:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    if type(default) is tuple:
        return type(value) in (list, tuple)
    return type(value) is type(default)


def _require_annotated(who: str, kind: Callable[..., object], settings: Mapping[str, Any]) -> None:
    """Refuse a value whose default, None, does not tell its type, by the annotation.

    Raises:
        ConfigError: The annotation takes no such value.
    """
    told = {k: p for k, p in _parameters(kind).items() if k in settings and p.default is None}
    if told:
        from pydantic import TypeAdapter, ValidationError
    for key, parameter in told.items():
        try:
            TypeAdapter(parameter.annotation).validate_json(json.dumps(settings[key]), strict=True)
        except ValidationError as error:
            why = error.errors()[0]["msg"].replace("Input should be", "takes")
            raise ConfigError(f"{who}: {key}: {why}, got {settings[key]!r}") from error


def _parameters(kind: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    """The parameters of a constructor; none where its annotations name what is not imported."""
    try:
        return inspect.signature(kind, eval_str=True).parameters
    except NameError:
        return {}
