"""What may be a name: of a run, a data set, a preset, a case.

Names become files. So a name is one part of a path on every system, whoever wrote it: a user, a
plug-in, or a record that was handed over. Text that is only shown needs no rule
(:mod:`camzoo.core.text`).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from camzoo.core.errors import ConfigError

#: Characters of a name; with what hashes and endings add, a file system takes it as a file.
LONGEST: Final = 128
#: Characters of the name of a data set: behind it stand a preset (64 at most) and a hash.
_LONGEST_PART: Final = 48
_NAME: Final = re.compile(r"\w(?:[\w .,+=()\[\]@#&'!%;{}^~-]*[\w+=)\]@#&'!%;}^~-])?")
#: Windows opens a device under these, whatever their ending.
_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
)


def is_name(text: object) -> bool:
    """Say whether ``text`` may be a name.

    Example:
        >>> is_name("phantom-quick-71f48a01"), is_name("../evil"), is_name("/abs"), is_name("nul.x")
        (True, False, False, False)
    """
    return (
        isinstance(text, str)
        and len(text) <= LONGEST
        and _NAME.fullmatch(text) is not None
        and text.partition(".")[0].lower() not in _DEVICES
    )


def as_name(text: object) -> str:
    """Make a name of what somebody wrote for people; empty where nothing of it can stand in one.

    Example:
        >>> as_name("Heart: left/right (2 mm)"), as_name("../.."), as_name("con")
        ('Heart_left_right_2_mm', '', '')
    """
    if not isinstance(text, str):
        return ""
    # Systems write accents in one character or in two: one of them is kept.
    words = re.findall(r"[\w.+-]+", unicodedata.normalize("NFC", text))
    name = re.sub(r"\.{2,}", ".", "_".join(words)).strip("_.+-")[:_LONGEST_PART].rstrip("_.+-")
    return name if is_name(name) else ""


def require_name(text: object, what: str) -> str:
    """Return ``text`` where it may be a name.

    Args:
        text: Text that may be a name.
        what: It names, and where it stands, as the message calls it.

    Raises:
        ConfigError: It may not.
    """
    if not isinstance(text, str) or not is_name(text):
        shown = repr(text)
        raise ConfigError(
            f"{what} is {shown if len(shown) < 80 else shown[:80] + '…'}, which is no name: use "
            f"at most {LONGEST} characters, a letter or digit first, then also spaces and "
            "_ . , + = - ( ) [ ] { } @ # & ' ! % ; ^ ~"
        )
    return text
