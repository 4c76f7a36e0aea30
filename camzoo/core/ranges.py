"""What a setting takes: checked by pydantic, said in words that name both ends of a range.

Each class annotates a field: ``epochs: Annotated[int, Whole(1, 1000)]``. Whatever is wrong with a
value, the message is the one of the field: "takes a whole number from 1 to 1000".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import (
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
)
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from camzoo.core.errors import ConfigError
from camzoo.core.text import shortly

#: Key of a JSON schema under which a setting says what it takes.
TAKES: Final = "takes"
#: Type of the errors that are raised here; others are pydantic's own.
_OWN: Final = "camzoo"
#: Most wrong settings that are named at once; a list in a file may hold thousands.
_NAMED: Final = 5
#: Pydantic's words for what has no range of its own, in those of a user.
_WORDS: Final = {
    "bool_parsing": "takes true or false",
    "bool_type": "takes true or false",
    "extra_forbidden": "there is no such setting",
    "model_type": "takes settings of its own, written as SECTION.SETTING",
    "tuple_type": "takes a list",
    "dict_type": "takes settings of its own, written as SECTION.SETTING",
}


@dataclass(frozen=True)
class Takes:
    """Says what a setting takes in the place of pydantic's words.

    Attributes:
        text: "a list of …".
        allows: Whether a value of the right type is one of them.
    """

    text: str
    allows: Callable[[Any], bool] = lambda _value: True

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check around what pydantic checks of the type alone."""
        return core_schema.no_info_wrap_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Carry the words into the schema that the page of all settings is made from."""
        return {**handler(schema), TAKES: self.text}

    def require(self, setting: str, value: Any) -> None:
        """Refuse an argument of a constructor in the words of a setting.

        Args:
            setting: Its name, with that of its owner: "fem: sigmas".
            value: Value of the right type.

        Raises:
            ConfigError: It is not one of the values that are taken.
        """
        if not self.allows(value):
            raise ConfigError(f"{setting} takes {self.text}, got {shortly(value)}")

    def _check(self, value: object, inner: ValidatorFunctionWrapHandler) -> object:
        try:
            taken = inner(value)
        except ValidationError:
            raise refusal(f"takes {self.text}") from None
        if isinstance(value, bool) and not isinstance(taken, bool | str):
            raise refusal(f"takes {self.text}")  # true would be 1
        if not self.allows(taken):
            raise refusal(f"takes {self.text}")
        return taken


class Whole(Takes):
    """Whole numbers from ``low`` to ``high``, both included."""

    def __init__(self, low: int, high: int, of: str = "") -> None:
        text = f"a whole number from {low} to {high}{of and ', '}{of}"
        super().__init__(text, lambda value: low <= value <= high)


class Real(Takes):
    """Numbers from ``low`` to ``high``: both included, or ``low`` left out."""

    def __init__(self, low: float, high: float, *, above: bool = False) -> None:
        text = f"a number above {low:g}, up to {high:g}" if above else f"{low:g} to {high:g}"

        def allows(value: float) -> bool:
            return (low < value if above else low <= value) and value <= high  # NaN is in no range

        super().__init__(text if above else f"a number from {text}", allows)


#: What generators are seeded with.
SEED: Final = Whole(0, 2**32 - 1)


class Name(Takes):
    """Names that stand in names of folders and files, and never lead out of one."""

    def __init__(self) -> None:
        super().__init__(
            "a name of at most 64 letters, digits and the marks . _ + : -, which starts with a "
            "letter or digit and holds no two dots in a row",
            is_name,
        )


class Text(Takes):
    """One line of text."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: one line of text, of at most 300 characters", is_line)


@dataclass(frozen=True)
class Several:
    """At least so many values, none of them twice; each is checked by its own annotation.

    Attributes:
        least: Fewest values.
        twice: Whether a value may be there twice.
    """

    least: int = 1
    twice: bool = False

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check after the values."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, values: tuple[object, ...]) -> tuple[object, ...]:
        if len(values) < self.least:
            raise refusal(f"takes {self.least} value or more")
        again = next((value for i, value in enumerate(values) if value in values[:i]), None)
        if again is not None and not self.twice:
            raise refusal(f"takes each value once, and {again!s} is there twice")
        return values


def is_name(text: str) -> bool:
    """Whether a text can be part of a file's name on any system."""
    marks = set("._+:-")
    return (
        0 < len(text) <= 64
        and text.isascii()
        and text[0].isalnum()
        and all(mark.isalnum() or mark in marks for mark in text)
        and ".." not in text
    )


def is_line(text: str) -> bool:
    """Whether a text is one line that a reader can see."""
    return 0 < len(text) <= 300 and text.isprintable() and not text.isspace()


def is_path(path: object) -> bool:
    """Whether a system could have a file of that name."""
    return "\0" not in str(path)


def is_option(value: object) -> bool:
    """Whether a value can be one of an option: what JSON holds on one line, finite numbers."""
    if isinstance(value, str):
        return value == "" or is_line(value)
    return not isinstance(value, float) or math.isfinite(value)


def refusal(text: str, setting: str = "", value: object = None) -> PydanticCustomError:
    """Make the error of a value that a setting does not take.

    Args:
        text: "takes …".
        setting: Name in its section, where several settings are checked together.
        value: Which was given, likewise.
    """
    context = {"text": text, "setting": setting, "value": value}
    return PydanticCustomError(_OWN, "{text}", context)


def in_one_line(error: ValidationError, section: str) -> str:
    """Say what is wrong, setting by setting: its name, what it takes, what was given.

    Args:
        error: Error in a section of the settings.
        section: Its name, empty for the settings as a whole.
    """
    faults = error.errors()
    named = [_fault(fault, section) for fault in faults[:_NAMED]]
    if len(faults) > _NAMED:
        named.append(f"and {len(faults) - _NAMED} more")
    return f"wrong {'setting' if len(faults) == 1 else 'settings'} {'; '.join(named)}"


def _fault(fault: ErrorDetails, section: str) -> str:
    own = fault.get("ctx", {}) if fault["type"] == _OWN else {}
    setting = own.get("setting", "")
    place = [section, *(str(p) if is_line(str(p)) else shortly(p) for p in fault["loc"]), setting]
    text = own.get("text") or _WORDS.get(fault["type"]) or fault["msg"]
    text = text.replace("Input should be", "takes").removeprefix("Value error, ")
    given = own["value"] if setting else fault["input"]
    return f"{'.'.join(part for part in place if part)}: {text}, got {shortly(given)}"
