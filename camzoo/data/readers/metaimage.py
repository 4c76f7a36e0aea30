"""MetaImage: ``.mha``, and ``.mhd`` with its voxels in other files (SimpleITK)."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Final

from camzoo.data.readers.base import Voxels, require_spacing
from camzoo.data.readers.itk import read_itk
from camzoo.data.readers.stored import Stored, numbered
from camzoo.data.readers.text_header import TextHeader, read_text_header
from camzoo.errors import DataError

#: Bytes of an element; those of MET_LONG depend on who wrote the file.
_BYTES: Final = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4, "MET_DOUBLE": 8,
}  # fmt: skip
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
    header.require(("transformmatrix", "orientation", "rotation"), "orientation")
    require_spacing(path, "ElementSpacing", header.numbers("elementspacing"))
    notes = _stored(header).require()
    voxels = read_itk(path, "MetaImage", "MetaImageIO", unit_mm=_unit(header))
    return replace(voxels, notes=(*header.notes, *notes))


def metaimage_companions(path: Path) -> tuple[Path, ...]:
    """Return the files that hold the voxels of a ``.mhd``."""
    try:
        return _stored(_header(path)).companions
    except DataError:
        return ()


def _header(path: Path) -> TextHeader:
    return read_text_header(path, "=", lambda name, _: name == "elementdatafile")


def _unit(header: TextHeader) -> float:
    unit = header.fields.get("distanceunits", "mm")
    if unit.lower() not in _UNIT_MM:
        raise DataError(
            f"{header.path}: expected DistanceUnits of {', '.join(_UNIT_MM)}, got {unit!r}"
        )
    return _UNIT_MM[unit.lower()]


def _stored(header: TextHeader) -> Stored:
    fields = header.fields
    sizes = header.sizes("dimsize")
    places = fields.get("elementdatafile", "")
    local = places.upper() == "LOCAL"
    files = (header.path,) if local else _files(header, places, sizes[-1])
    stated_skip = int(header.numbers("headersize", 1)[0]) if "headersize" in fields else 0
    channels = (
        int(header.numbers("elementnumberofchannels", 1)[0])
        if ("elementnumberofchannels" in fields)
        else 1
    )
    element = _BYTES.get(fields.get("elementtype", ""))
    binary = fields.get("binarydata", "true").lower() not in ("false", "0")
    packed = (
        int(header.numbers("compresseddatasize", 1)[0]) if ("compresseddatasize" in fields) else 0
    )
    return Stored(
        header=header.path,
        files=files,
        skip=max(stated_skip, header.end if local else 0),  # -1: the voxels stand at the end
        need=math.prod(sizes) * channels * element if element and binary else None,
        deflated=fields.get("compresseddata", "false").lower() in ("true", "1"),
        packed=packed or None,
    )


def _files(header: TextHeader, places: str, slices: int) -> tuple[Path, ...]:
    """Names in one of three forms: a file, a list under the header, or a numbered pattern."""
    first, *numbers = places.split() or [""]
    if first.upper() == "LIST":
        names = [line.strip() for line in header.following if line.strip()]
    elif "%" in places:
        names = _numbered(header, first, numbers, slices)
    else:
        names = [places] if places else []
    return tuple(header.path.parent / name for name in names)


def _numbered(header: TextHeader, pattern: str, words: list[str], slices: int) -> list[str]:
    """As MetaIO counts: ``pattern [first [last [step]]]``, never more files than slices."""
    try:
        first, *more = [int(word) for word in words] or [1]
        last = more[0] if more else first + slices - 1
        step = more[1] if len(more) > 1 else max((last - first + 1) // slices, 1)
        return numbered(pattern, first, last, step)[:slices]
    except ValueError as error:
        raise DataError(f"{header.path}: ElementDataFile: {error}") from error
