"""NRRD: ``.nrrd``, and ``.nhdr`` with its voxels in other files (SimpleITK)."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from camzoo.data.readers.base import Voxels, require_spacing
from camzoo.data.readers.itk import read_itk
from camzoo.data.readers.stored import Stored, numbered
from camzoo.data.readers.text_header import TextHeader, read_text_header
from camzoo.errors import DataError

#: Bytes of a sample by the first word of its type's name, "unsigned" and "signed" left out.
_BYTES: Final = {
    "char": 1, "uchar": 1, "int8": 1, "int8_t": 1, "uint8": 1, "uint8_t": 1,
    "short": 2, "ushort": 2, "int16": 2, "int16_t": 2, "uint16": 2, "uint16_t": 2,
    "int": 4, "uint": 4, "int32": 4, "int32_t": 4, "uint32": 4, "uint32_t": 4,
    "longlong": 8, "ulonglong": 8, "int64": 8, "int64_t": 8, "uint64": 8, "uint64_t": 8,
    "long long": 8, "float": 4, "double": 8,
}  # fmt: skip
#: Spaces whose axes are those of the body: what ITK turns into its own.
_SPACES: Final = frozenset(
    {"left-posterior-superior", "lps", "right-anterior-superior", "ras",
     "left-anterior-superior", "las"}
)  # fmt: skip
_UNIT_MM: Final = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "cm": 10.0, "m": 1000.0,
                   "um": 0.001, "micron": 0.001, "microns": 0.001, "": 1.0}  # fmt: skip
_DATA_FILE: Final = ("data file", "datafile")


def read_nrrd(path: Path) -> Voxels:
    """Read ``.nrrd`` or ``.nhdr``.

    Raises:
        DataError: The header leaves out spacing or orientation, or states them in a space other
            than the body's; or it states more voxels than the file holds, or those are damaged.
    """
    header = _header(path)
    header.require(("space directions",), "spacing and orientation")
    header.require(("space",), "orientation")
    _require_body_space(header)
    # ITK takes 1 mm for axes without a direction.
    require_spacing(path, "space directions", _lengths(header))
    notes = _stored(header).require()
    voxels = read_itk(path, "NRRD", "NrrdImageIO", unit_mm=_unit(header))
    return replace(voxels, notes=(*header.notes, *notes))


def nrrd_companions(path: Path) -> tuple[Path, ...]:
    """Return the files that hold the voxels of a detached header."""
    try:
        return _stored(_header(path)).companions
    except DataError:
        return ()


def _header(path: Path) -> TextHeader:
    return read_text_header(
        path, ":", lambda name, value: name in _DATA_FILE and value.upper().startswith("LIST")
    )


def _require_body_space(header: TextHeader) -> None:
    space = header.fields["space"]
    if space.lower() not in _SPACES:
        raise DataError(
            f"{header.path}: space {space!r} does not say how the axes lie in the body; expected "
            "left-posterior-superior, right-anterior-superior or left-anterior-superior"
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
            f"{header.path}: expected space directions of three axes, each (x,y,z), got {text!r}; "
            "write the file again with its spacing and orientation"
        )
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
    fields = header.fields
    place = next((fields[name] for name in _DATA_FILE if name in fields), "")
    kind = re.sub(r"^(un)?signed ", r"\1", fields.get("type", "").lower())
    sample = _BYTES.get(re.sub(r"^un", "u", kind)) or _BYTES.get(kind.removeprefix("un"))
    encoding = fields.get("encoding", "raw").lower()
    deflated = encoding in ("gzip", "gz")
    lines = "line skip" in fields or "lineskip" in fields
    skip = next((fields[name] for name in ("byte skip", "byteskip") if name in fields), "0")
    known = sample and not lines and (deflated or encoding == "raw")
    return Stored(
        header=header.path,
        files=_files(header, place) if place else (header.path,),
        skip=max(_whole(header, skip), 0) + (0 if place else header.end),
        need=math.prod(header.sizes("sizes")) * sample if sample and known else None,
        deflated=deflated,
    )


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
    return tuple(header.path.parent / name for name in names)


def _whole(header: TextHeader, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise DataError(f"{header.path}: expected a whole number of bytes, got {text!r}") from error
