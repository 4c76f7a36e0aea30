"""What is said about a name that nobody knows: one wording for methods, settings, files and all."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

from camzoo.core.errors import UnknownNameError
from camzoo.core.text import shortly

#: Names that are nearer than this share of their letters are taken for what was meant.
_NEAR: Final = 0.6
#: A name that is less near than the nearest by more than this is no suggestion beside it.
_FURTHER: Final = 0.12
_MOST_SUGGESTED: Final = 3
_MOST_LISTED: Final = 40


def unknown(
    kind: str,
    name: str,
    known: Iterable[str],
    *,
    of: str = "",
    otherwise: Sequence[str] | None = None,
) -> UnknownNameError:
    """Return the error for a name that is none of ``known``: with the nearest ones, else with all.

    Args:
        kind: What it should have been, in the singular ("CAM method", "setting").
        name: Name, as it was written.
        known: What there is.
        of: What it was looked up in, where the kind does not say ("data set 'acdc'").
        otherwise: What is listed where nothing is near; None lists ``known``.
    """
    names = list(known)
    near = nearest(name, names)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    else:
        listed = list(names if otherwise is None else otherwise)
        more = f" and {len(listed) - _MOST_LISTED} more" if len(listed) > _MOST_LISTED else ""
        hint = f"known: {', '.join(listed[:_MOST_LISTED]) or 'none'}{more}"
    return UnknownNameError(f"unknown {kind} {shortly(name)}{f' of {of}' if of else ''}; {hint}")


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three names that look like ``name``, the nearest first; case does not count.

    Of dotted names the last part is enough: ``epochs`` is near ``training.epochs``.
    """
    by_letters: dict[str, list[str]] = {}
    for candidate in known:
        by_letters.setdefault(candidate.casefold(), []).append(candidate)
        if "." not in name and "." in candidate:
            by_letters.setdefault(candidate.rpartition(".")[2].casefold(), []).append(candidate)
    written = name.casefold()
    found = difflib.get_close_matches(written, by_letters, _MOST_SUGGESTED, _NEAR)
    alike = {letters: difflib.SequenceMatcher(None, letters, written).ratio() for letters in found}
    least = max(alike.values(), default=0) - _FURTHER
    near = [name for letters in found if alike[letters] >= least for name in by_letters[letters]]
    return list(dict.fromkeys(near))[:_MOST_SUGGESTED]
