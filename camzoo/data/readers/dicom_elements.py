"""Whether all that a DICOM file says it holds can be in it (DICOM PS3.5, section 7).

A file is a row of elements, each a tag, its kind of value (VR), a length, and so many bytes. GDCM,
which reads them behind ITK, takes memory for a length before it looks whether the file goes on for
so long, and never gives it back when it does not: a spoilt slice of 2 kB costs a gigabyte.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from camzoo.data.readers.base import unreadable

#: What stands in front of the first element; files of before the format have nothing there.
_PREAMBLE, _MARK = 128, b"DICM"
#: Kinds of value whose length takes two bytes, and those with two bytes of padding and four.
_SHORT: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
#: The group that says how the others are written, and that of items and the ends of sequences.
_META, _ITEMS = 0x0002, 0xFFFE
_TRANSFER_SYNTAX: Final = (_META, 0x0010)
_END_OF_SEQUENCE: Final = (_ITEMS, 0xE0DD)
_PIXELS: Final = (0x7FE0, 0x0010)
#: The length of what ends at a mark of its own.
_UNDEFINED: Final = 0xFFFFFFFF


@dataclass(frozen=True)
class _Writing:
    """How elements are written.

    Attributes:
        order: Of bytes, as :mod:`struct` has it.
        kinds: Whether they say their kinds.
    """

    order: str = "<"
    kinds: bool = True


_USUAL: Final = _Writing()
#: Those that are written otherwise, by transfer syntax; None is compressed as a whole.
_WRITINGS: Final = {
    b"1.2.840.10008.1.2": _Writing(kinds=False),
    b"1.2.840.10008.1.2.2": _Writing(order=">"),
    b"1.2.840.10008.1.2.1.99": None,
}


@dataclass(frozen=True)
class _Element:
    """An element of a file.

    Attributes:
        tag: Group and number.
        kind: Its VR; empty where it says none.
        value: Where its value begins.
        length: Bytes of its value, or :data:`_UNDEFINED`.
    """

    tag: tuple[int, int]
    kind: bytes
    value: int
    length: int

    @property
    def nested(self) -> bool:
        """Whether its value is further elements."""
        return self.kind == b"SQ" or self.tag[0] == _ITEMS or self.length == _UNDEFINED


def require_whole_elements(path: Path) -> None:
    """Refuse a file in which an element is longer than what is left of the file.

    Elements in sequences are looked at, too. What cannot be followed, as a file that is compressed
    as a whole, is left to whoever reads it.

    Args:
        path: A file of DICOM, with or without the mark of the format.

    Raises:
        DataError: An element is cut off, or its length is damaged.
    """
    with path.open("rb") as file:
        if file.seek(0, 2):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                _follow(path, data)


def _follow(path: Path, data: mmap.mmap) -> None:
    marked = data[_PREAMBLE : _PREAMBLE + len(_MARK)] == _MARK
    at = _PREAMBLE + len(_MARK) if marked else 0
    writing: _Writing | None = _USUAL
    syntax, in_meta, in_fragments = b"", True, False
    while writing and (element := _element(data, at, writing)):
        if in_meta and element.tag[0] != _META:
            in_meta, writing = False, _WRITINGS.get(syntax, _USUAL)
            continue
        if element.kind == b"UN" and element.length == _UNDEFINED:
            return  # what is in it is written in another way
        _require_there(path, element, len(data))
        if element.tag == _TRANSFER_SYNTAX:
            syntax = data[element.value : element.value + element.length].rstrip(b"\0 ")
        enters = element.nested and not in_fragments
        if element.length == _UNDEFINED or element.tag == _END_OF_SEQUENCE:
            in_fragments = element.tag == _PIXELS
        at = element.value if enters else element.value + element.length


def _element(data: mmap.mmap, at: int, writing: _Writing) -> _Element | None:
    """The element that begins at a place; None where too little is left for one."""
    if len(data) - at < 8:
        return None
    group, number = struct.unpack_from(f"{writing.order}HH", data, at)
    kind = data[at + 4 : at + 6] if writing.kinds and group != _ITEMS else b""
    if kind in _SHORT:
        (length,) = struct.unpack_from(f"{writing.order}H", data, at + 6)
        return _Element((group, number), kind, at + 8, length)
    if kind in _LONG:
        if len(data) - at < 12:
            return None
        (length,) = struct.unpack_from(f"{writing.order}I", data, at + 8)
        return _Element((group, number), kind, at + 12, length)
    # Without a kind that there is, readers take what stands in its place for a length.
    (length,) = struct.unpack_from(f"{writing.order}I", data, at + 4)
    return _Element((group, number), b"", at + 8, length)


def _require_there(path: Path, element: _Element, end: int) -> None:
    left = end - element.value
    if element.length != _UNDEFINED and element.length > left:
        group, number = element.tag
        raise unreadable(
            path,
            "DICOM",
            f"element ({group:04x},{number:04x}) states {element.length} bytes, and {left} are "
            "left of the file; copy or export it again",
        )
