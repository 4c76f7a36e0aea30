"""Text from elsewhere in markdown, LaTeX and sheets, which would read more than text in it."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from camzoo.core.text import plain

#: What GitHub's markdown reads as more than itself, wherever it stands in a line.
_INLINE: Final = re.compile(
    r"""
      \\(?=[!-/:-@\[-`{-~])              # an escape
    | [`|~$]                             # code, a cell, struck out, a formula
    | \](?=[(\[])                        # a link
    | (?<!\s)\* | \*(?!\s|$)             # emphasis; a star between spaces is one
    | (?<![^\W_])_ | _(?![^\W_])         # likewise; inside a word it is none
    """,
    re.VERBOSE,
)
_HTML: Final = {re.compile(r"&(?=#?\w+;)"): "&amp;", re.compile(r"<(?=[A-Za-z/!?])"): "&lt;"}
#: What makes a heading, a quotation, a list or a box to tick of a line that begins with it.
_LEADING: Final = re.compile(
    r"^(?:#{1,6}(?=\s|$)|[>\[]|[+-](?=\s|$)|(?P<number>\d{1,9})(?=[.)](\s|$)))"
)
#: What a sheet takes for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@")
#: Letters that are commands of LaTeX, or others in its old encoding.
_LATEX: Final = str.maketrans(
    {mark: f"\\{mark}" for mark in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "`": r"\textasciigrave{}",
        "'": r"\textquotesingle{}", '"': r"\symbol{34}", "±": r"$\pm$", "…": r"\ldots{}",
    }
)  # fmt: skip


class Markdown(str):
    """Text that is markdown already and is not escaped again."""

    __slots__ = ()


def escape(text: object) -> Markdown:
    r"""Return ``text`` as markdown that shows it as it is, on one line.

    Example:
        >>> print(escape("<b>a|b</b>"), escape("c-cam[cc,ac]"), escape("_x_"))
        &lt;b>a\|b&lt;/b> c-cam[cc,ac] \_x\_
    """
    if isinstance(text, Markdown):
        return text
    line = _INLINE.sub(r"\\\g<0>", plain(text))
    for mark, entity in _HTML.items():
        line = mark.sub(entity, line)
    return Markdown(_LEADING.sub(_disarmed, line))


def code(text: object) -> Markdown:
    """Return ``text`` as code, whatever backticks it holds."""
    line = plain(text)
    longest = max(map(len, re.findall(r"`+", line)), default=0)
    space = " " if longest else ""
    fence = "`" * (longest + 1)
    return Markdown(f"{fence}{space}{line}{space}{fence}")


def latex(text: object) -> str:
    r"""Return ``text`` as LaTeX that typesets it as it is, in a cell or a caption.

    Letters of other scripts stay, and need LuaLaTeX or XeLaTeX and a font that has them.

    Example:
        >>> print(latex("c-cam_2 & 50 % <b>"), latex("[here]"), latex("a--b"))
        c-cam\_2 \& 50 \% \textless{}b\textgreater{} {}[here] a-{}-b
    """
    line = re.sub(r"([-,])(?=\1)", r"\1{}", plain(text).translate(_LATEX))  # no dashes, no quotes
    return re.sub(r"^(?=[\[*])", "{}", line)  # behind a row's end they would be an argument of it


def sheet_cell(text: object) -> str:
    """Return ``text`` as a cell that no spreadsheet computes: behind an apostrophe where it would.

    Example:
        >>> sheet_cell("=1+1"), sheet_cell("c-cam")
        ("'=1+1", 'c-cam')
    """
    line = plain(text)
    # Some sheets take the same signs in full width, too.
    return f"'{line}" if unicodedata.normalize("NFKC", line[:1]).startswith(_FORMULA) else line


def _disarmed(mark: re.Match[str]) -> str:
    return f"{mark['number']}\\" if mark["number"] else f"\\{mark[0]}"
