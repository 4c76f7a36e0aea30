"""NRRD: ``.nrrd``, and ``.nhdr`` with its voxels in other files (SimpleITK)."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from camzoo.core.errors import DataError
from camzoo.core.text import shortly
from camzoo.data.readers.base import Voxels, require_spacing
from camzoo.data.readers.itk import read_itk
from camzoo.data.readers.stored_voxels import Stored, beside, numbered
from camzoo.data.readers.text_header import TextHeader, read_text_header

#: Types of samples by all names that the format has for them.
_TYPES: Final = {
    name: code
    for code, names in {
        "i1": "signed char|int8|int8_t",
        "u1": "uchar|unsigned char|uint8|uint8_t",
        "i2": "short|short int|signed short|signed short int|int16|int16_t",
        "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
        "i4": "int|signed int|int32|int32_t",
        "u4": "uint|unsigned int|uint32|uint32_t",
        "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|"
        "int64_t",
        "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
        "f4": "float",
        "f8": "double",
    }.items()
    for name in names.split("|")
}
#: Spaces whose axes are those of the body: what ITK turns into its own.
_SPACES: Final = frozenset(
    {"left-posterior-superior", "lps", "right-anterior-superior", "ras",
     "left-anterior-superior", "las"}
)  # fmt: skip
_UNIT_MM: Final = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "cm": 10.0, "m": 1000.0,
                   "um": 0.001, "micron": 0.001, "microns": 0.001, "": 1.0}  # fmt: skip
_DEFLATED: Final = ("gzip", "gz")
#: An encoding that ITK knows and cannot read.
_UNREAD: Final = ("bzip2", "bz2")
_DATA_FILE: Final = ("data file", "datafile")
#: Bytes of a line; ITK puts what it does not understand into messages that hold some hundred more.
_LONGEST_LINE: Final = 500


def read_nrrd(path: Path) -> Voxels:
    """Read ``.nrrd`` or ``.nhdr``.

    Raises:
        DataError: The header leaves out spacing or orientation, or states them in a space other
            than the body's; or it states more voxels than the file holds, or those are damaged.
    """
    header = _header(path)
    if not header.beginning.startswith(b"NRRD"):
        raise DataError(
            f"{path} is no NRRD file: it begins with {header.beginning!r}, expected b'NRRD'"
        )
    header.require(("space directions",), "spacing and orientation")
    header.require(("space",), "orientation")
    _require_body_space(header)
    if _encoding(header) in _UNREAD:
        raise DataError(f"{path}: encoding bzip2 is not read; write the file again with gzip")
    # ITK takes 1 mm for axes without a direction.
    require_spacing(path, "space directions", _lengths(header))
    stored = _stored(header)
    found = stored.require()
    voxels = read_itk(
        path, "NRRD", "NrrdImageIO", stated=stored.count, known=found.array, unit_mm=_unit(header)
    )
    return replace(voxels, notes=(*header.notes, *found.notes))


def nrrd_companions(path: Path) -> tuple[Path, ...]:
    """Return the files that hold the voxels of a detached header."""
    try:
        return _stored(_header(path)).companions
    except DataError:
        return ()


def _header(path: Path) -> TextHeader:
    return read_text_header(path, ":", _is_last, _room)


def _is_last(name: str, value: str) -> bool:
    return name in _DATA_FILE and value.upper().startswith("LIST")


def _room(name: str, value: str) -> int:
    """Comments and ``key:=value`` may have any length."""
    return sys.maxsize if name.startswith("#") or value.startswith("=") else _LONGEST_LINE


def _require_body_space(header: TextHeader) -> None:
    space = header.fields["space"]
    if space.lower() not in _SPACES:
        raise DataError(
            f"{header.path}: space {shortly(space)} does not say how the axes lie in the body; "
            "expected left-posterior-superior, right-anterior-superior or left-anterior-superior"
        )


def _lengths(header: TextHeader) -> list[float]:
    """Lengths of the three axes in space; an axis of frames or channels has none."""
    text = header.fields["space directions"]
    vectors = re.findall(r"\(([^)]*)\)", text)
    try:
        directions = np.array([[float(part) for part in v.split(",")] for v in vectors])
    except ValueError:
        directions = np.empty(0)
    if directions.shape != (3, 3):
        raise DataError(
            f"{header.path}: expected space directions of three axes, each (x,y,z), got "
            f"{shortly(text)}; write the file again with its spacing and orientation"
        )
    with np.errstate(over="ignore"):  # infinity is refused, too
        lengths: list[float] = np.linalg.norm(directions, axis=1).tolist()
    return lengths


def _unit(header: TextHeader) -> float:
    text = header.fields.get("space units", "")
    units = {unit.strip().lower() for unit in re.findall(r'"([^"]*)"', text)} or {""}
    if len(units) > 1 or not units <= set(_UNIT_MM):
        raise DataError(
            f"{header.path}: expected space units of one length for all axes (mm, cm, m, um), "
            f"got {text}"
        )
    return _UNIT_MM[units.pop()]


def _stored(header: TextHeader) -> Stored:
    place = _either(header, *_DATA_FILE)
    skip = header.whole("byte skip", header.whole("byteskip", 0))
    return Stored(
        header=header.path,
        files=_files(header, place) if place else (header.path,),
        skip=max(skip, 0) + (0 if place else header.end),  # -1: the voxels stand at the end
        sizes=tuple(header.sizes("sizes")),
        dtype=_dtype(header),
        deflated=_encoding(header) in _DEFLATED,
    )


def _dtype(header: TextHeader) -> np.dtype[Any] | None:
    name = _TYPES.get(header.fields.get("type", "").lower())
    lines = _either(header, "line skip", "lineskip") not in ("", "0")
    if name is None or lines or _encoding(header) not in ("raw", *_DEFLATED):
        return None
    big = header.fields.get("endian", "little").lower() == "big"
    return np.dtype(name).newbyteorder(">" if big else "<")


def _encoding(header: TextHeader) -> str:
    return header.fields.get("encoding", "raw").lower()


def _either(header: TextHeader, *names: str) -> str:
    """The field that the format calls by two names."""
    return next((header.fields[name] for name in names if name in header.fields), "")


def _files(header: TextHeader, place: str) -> tuple[Path, ...]:
    """Names in one of three forms: a file, a list under the header, or a numbered pattern."""
    first, *numbers = place.split()
    if first.upper() == "LIST":
        names = [line.strip() for line in header.following if line.strip()]
    elif "%" in place:
        try:
            names = numbered(first, *[int(number) for number in numbers[:3]])
        except (TypeError, ValueError) as error:
            raise DataError(f"{header.path}: data file: {error}") from error
    else:
        names = [place]
    return beside(header.path, names)
