"""Text from elsewhere on one line: names, titles and messages that others wrote."""

from __future__ import annotations

import reprlib
import unicodedata
from typing import Final

#: Characters of a message that a table, a page or a terminal shows.
LONGEST: Final = 300
#: Unicode categories of what is not seen and acts on what is: control, format (marks that turn the
#: direction of writing, widths of zero), surrogate, private use, ends of lines and paragraphs, and
#: what no version of Unicode has given a meaning.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: object, longest: int | None = None) -> str:
    r"""Return ``text`` on one line, with everything in it to be seen.

    Lines and tabs become spaces. Characters that act on the text around them stand as their escape,
    so that texts which differ still differ.

    Args:
        text: Anything; what is no text is written as one.
        longest: Characters that are kept, if not all.

    Example:
        >>> plain("a\n  b\x1b[31m"), plain("abcdef", longest=4)
        ('a b\\x1b[31m', 'abc…')
    """
    line = "".join(map(_seen, " ".join(str(text).split())))
    if longest is not None and len(line) > longest:
        return line[: longest - 1] + "…"
    return line


def visible(text: str) -> str:
    """Return ``text`` with its lines as they are, and everything in them to be seen."""
    return "\n".join("".join(map(_seen, line)) for line in text.split("\n"))


def reason(error: BaseException) -> str:
    """Return the kind and the message of an exception, as far as one line goes."""
    try:
        message = plain(error, LONGEST)
    except Exception:  # a plug-in's exception need not know how to be written
        message = "its message cannot be written"
    kind = plain(type(error).__name__, LONGEST)
    return f"{kind}: {message}" if message else kind


def shortly(value: object) -> str:
    """Write a value in so few characters that it fits in a message."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    short.maxlist = short.maxtuple = 8
    short.maxlevel = 3
    return short.repr(value)


def _seen(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode()
