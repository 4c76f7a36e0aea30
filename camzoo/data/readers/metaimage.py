"""MetaImage: ``.mha``, and ``.mhd`` with its voxels in other files (SimpleITK)."""

from __future__ import annotations

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

#: Types of elements; that of MET_LONG depends on who wrote the file.
_TYPES: Final = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4",
    "MET_UINT": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
_AXES: Final = range(2, 6)
#: Names under which the format knows where a volume lies, and how.
_PLACES: Final = ("offset", "position", "origin")
_DIRECTIONS: Final = ("transformmatrix", "orientation", "rotation")
#: Bytes of a line that ITK reads, and of fields that it copies into less.
_LONGEST_LINE: Final = 499
_LONGEST_TEXT: Final = 250
_TEXTS: Final = ("name", "comment", "objecttype", "objectsubtype")
#: DistanceUnits in mm; files that leave them out mean mm.
_UNIT_MM: Final = {"?": 1.0, "mm": 1.0, "um": 0.001, "cm": 10.0, "m": 1000.0}


def read_metaimage(path: Path) -> Voxels:
    """Read ``.mhd`` (with its ``.raw``, ``.zraw`` or files of slices) or ``.mha``.

    Raises:
        DataError: The header leaves out spacing or orientation, states a spacing that is not
            above 0 or more voxels than the files hold, or compressed voxels are damaged.
    """
    header = _header(path)
    # ITK takes 1 mm and the identity where they are left out, and the sign off a negative spacing.
    header.require(("elementspacing",), "spacing")
    header.require(_DIRECTIONS, "orientation")
    _require_axes(header)
    require_spacing(path, "ElementSpacing", header.numbers("elementspacing"))
    stored = _stored(header)
    found = stored.require()
    voxels = read_itk(
        path,
        "MetaImage",
        "MetaImageIO",
        stated=stored.count,
        known=found.array,
        unit_mm=_unit(header),
    )
    return replace(voxels, notes=(*header.notes, *found.notes))


def metaimage_companions(path: Path) -> tuple[Path, ...]:
    """Return the files that hold the voxels of a ``.mhd``."""
    try:
        return _stored(_header(path)).companions
    except DataError:
        return ()


def _header(path: Path) -> TextHeader:
    return read_text_header(path, "=", lambda name, _: name == "elementdatafile", _room)


def _room(name: str, _value: str) -> int:
    return _LONGEST_TEXT if name in _TEXTS else _LONGEST_LINE


def _require_axes(header: TextHeader) -> None:
    """Refuse fields of another length than their number of axes: ITK reads on past their ends."""
    axes = header.whole("ndims", 0)
    if axes not in _AXES:
        raise DataError(f"{header.path}: expected NDims from 2 to 5, got {axes}")
    for name in ("dimsize", "elementspacing", *_PLACES, *_DIRECTIONS):
        if name in header.fields:
            header.numbers(name, axes**2 if name in _DIRECTIONS else axes)


def _unit(header: TextHeader) -> float:
    unit = header.fields.get("distanceunits", "mm")
    if unit.lower() not in _UNIT_MM:
        raise DataError(
            f"{header.path}: expected DistanceUnits of {', '.join(_UNIT_MM)}, got {shortly(unit)}"
        )
    return _UNIT_MM[unit.lower()]


def _stored(header: TextHeader) -> Stored:
    fields = header.fields
    sizes = header.sizes("dimsize")
    place = fields.get("elementdatafile", "")
    local = place.upper() == "LOCAL"
    skip = header.whole("headersize", 0)
    channels = header.whole("elementnumberofchannels", 1)
    return Stored(
        header=header.path,
        files=(header.path,) if local else _files(header, place, sizes[-1]),
        skip=max(skip, header.end if local else 0),  # -1: the voxels stand at the end
        sizes=(*([channels] if channels > 1 else []), *sizes),
        dtype=_dtype(header),
        deflated=_is_true(header, "compresseddata"),
        packed=header.whole("compresseddatasize", 0) or None,
    )


def _dtype(header: TextHeader) -> np.dtype[Any] | None:
    name = _TYPES.get(header.fields.get("elementtype", ""))
    if name is None or not _is_true(header, "binarydata", absent=True):
        return None
    orders = ("binarydatabyteordermsb", "elementbyteordermsb")
    return np.dtype(name).newbyteorder(">" if any(_is_true(header, o) for o in orders) else "<")


def _is_true(header: TextHeader, name: str, *, absent: bool = False) -> bool:
    return header.fields.get(name, str(absent)).lower() in ("true", "1")


def _files(header: TextHeader, places: str, slices: int) -> tuple[Path, ...]:
    """Names in one of three forms: a file, a list under the header, or a numbered pattern."""
    first, *numbers = places.split() or [""]
    if first.upper() == "LIST":
        names = [line.strip() for line in header.following if line.strip()]
    elif "%" in places:
        names = _numbered(header, first, numbers, slices)
    else:
        names = [places] if places else []
    return beside(header.path, names)


def _numbered(header: TextHeader, pattern: str, words: list[str], slices: int) -> list[str]:
    """As MetaIO counts: ``pattern [first [last [step]]]``, never more files than slices."""
    try:
        first, *more = [int(word) for word in words] or [1]
        last = more[0] if more else first + slices - 1
        step = more[1] if len(more) > 1 else max((last - first + 1) // slices, 1)
        return numbered(pattern, first, last, step)[:slices]
    except ValueError as error:
        raise DataError(f"{header.path}: ElementDataFile: {error}") from error
