"""What all readers share: what they give, and how they say that a file is broken."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from numpy.typing import NDArray

from camzoo.core.errors import DataError
from camzoo.data.notes import Note
from camzoo.data.volume import SPACINGS_MM, FloatArray

#: No deflated stream shrinks to less than one byte in so many (zlib's documentation).
_DEFLATE_LIMIT: Final = 1032
#: ``wbits`` of zlib: streams of gzip and of zlib, whichever begins.
_GZIP_OR_ZLIB: Final = 47


@dataclass(frozen=True, eq=False)
class Voxels:
    """What a file holds.

    Attributes:
        array: Numbers as they are stored, axes reversed: [..., z, y, x]. Frames, channels and
            colours lead.
        affine: From (z, y, x, 1) to RAS mm, shape [4, 4].
        notes: What the header says twice and differently.
    """

    array: NDArray[Any]
    affine: FloatArray
    notes: tuple[Note, ...] = ()


#: Reads one file or folder; faults are raised as DataError and name the file.
Reader: TypeAlias = Callable[[Path], Voxels]
#: The files besides a header that are read with it; () where the header cannot be made out.
Companions: TypeAlias = Callable[[Path], tuple[Path, ...]]


def alone(_path: Path) -> tuple[Path, ...]:
    """Companions of a format whose files hold everything themselves."""
    return ()


@dataclass(frozen=True)
class Format:
    """One format of volume files.

    Attributes:
        name: Name, as messages call it.
        suffixes: Endings in lower case, the longest first.
        read: Reads a file of it.
        companions: Files that a header of it refers to.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Reader
    companions: Companions = alone


def unreadable(path: Path, kind: str, reason: object) -> DataError:
    """Build the error for a file that its library cannot read."""
    return DataError(f"{path} cannot be read as {kind}: {reason}")


def require_spacing(path: Path, where: str, values: Sequence[float]) -> None:
    """Refuse voxel sizes that no scan has, before a library makes something of them.

    Args:
        path: The file.
        where: The field that holds them.
        values: Values, as they stand in the file.

    Raises:
        DataError: One is zero, negative, beyond all reason, infinite or NaN.
    """
    low, high = SPACINGS_MM
    if not all(low <= value <= high for value in values):  # NaN is not
        stated = " x ".join(f"{float(value):g}" for value in values)
        raise DataError(
            f"{path}: the header states voxels of {stated} mm ({where}), expected sizes above 0 "
            f"and below {high:g}; write the file again with its spacing"
        )


def require_room(path: Path, need: int, there: int, *, deflated: bool = False) -> None:
    """Refuse a header that states more voxels than its file can hold, before memory is taken.

    Args:
        path: The file with the voxels.
        need: Bytes of voxels that the header states.
        there: Bytes of voxels in the file.
        deflated: Whether they are compressed.

    Raises:
        DataError: They cannot be all there.
    """
    if need > there * (_DEFLATE_LIMIT if deflated else 1):
        raise DataError(
            f"{path} is shorter than its header states: {need} bytes of voxels expected, "
            f"{there}{' compressed' if deflated else ''} bytes there; copy the whole file again"
        )


def inflate(path: Path, data: bytes | memoryview, most: int) -> bytearray:
    """Decompress streams of gzip or zlib to their ends, where their checksums are compared.

    Args:
        path: The file, for messages.
        data: The streams, one after the other.
        most: Bytes that may come out.

    Raises:
        DataError: A stream is damaged, ends early, or gives more than ``most`` bytes.
    """
    parts: list[bytes] = []
    room = most
    rest = bytes(data)
    while rest:
        stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            part = stream.decompress(rest, room + 1)
        except zlib.error as error:
            raise DataError(f"{path}: the compressed data are damaged ({error})") from error
        room -= len(part)
        parts.append(part)
        if room < 0:
            raise DataError(
                f"{path}: the compressed data give more than the {most} bytes of its header"
            )
        if not stream.eof:
            raise DataError(f"{path}: the compressed data end early, the file is truncated")
        # Zeros after the last stream are padding, as gzip itself takes them.
        rest = stream.unused_data.lstrip(b"\0")
    return bytearray().join(parts)
